import type { GraphqlAnswer, World, WorldCompany, WorldWorkspace } from './app.js'
import { asPerson, type Person } from './actors.js'
import { eventually } from './eventually.js'

/** The three who it takes to erase somebody, and their ways to do so. */
export interface Trio {
  readonly requester: Person
  readonly approver: Person
  readonly staff: Person
}

export const makeTrio = async (world: World, company: WorldCompany): Promise<Trio> => ({
  requester: await asPerson(world, { company: company.id, role: 'ADMIN' }),
  approver: await asPerson(world, { company: company.id, role: 'OWNER' }),
  staff: await asPerson(world, { staffRole: 'PRIVACY_ADMIN' }),
})

const shown = `{ gdprRequest { id status subject requestType failure createdAt completedAt requestedBy { id } company { id }
  approvals { approvalType approvedBy { id } } progress { matchedEvents erasedEvents } evidence { region store records } } }`

const call =
  (field: string) =>
  (person: Person, input: Record<string, unknown>): Promise<GraphqlAnswer> =>
    person.gql(
      `mutation ($input: ${field[0]!.toUpperCase()}${field.slice(1)}Input!) { ${field}(input: $input) ${shown} }`,
      { input },
    )

export const createRequest = call('createGdprRequest')
const approveCall = call('approveGdprRequest')
const rejectCall = call('rejectGdprRequest')
const retryCall = call('retryGdprRequest')
export const approve = (person: Person, gdprRequestId: string): Promise<GraphqlAnswer> =>
  approveCall(person, { gdprRequestId })
export const reject = (person: Person, gdprRequestId: string, reason = 'no'): Promise<GraphqlAnswer> =>
  rejectCall(person, { gdprRequestId, reason })
export const retry = (person: Person, gdprRequestId: string): Promise<GraphqlAnswer> =>
  retryCall(person, { gdprRequestId })

/** What a request is now. */
export async function readRequest(person: Person, id: string): Promise<GraphqlAnswer['data']> {
  const answer = await person.gql(
    `query ($id: ID!) { gdprRequest(id: $id) ${shown.slice(shown.indexOf('{ id'), -1)} }`,
    { id },
  )
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return answer.data.gdprRequest
}

/** Asks for and approves a request; answers its id. */
export async function approvedRequest(trio: Trio, input: Record<string, unknown>): Promise<string> {
  const created = await createRequest(trio.requester, input)
  if (created.errors !== undefined) throw new Error(JSON.stringify(created.errors))
  const { id } = created.data.createGdprRequest.gdprRequest
  for (const person of [trio.approver, trio.staff]) {
    const answer = await approve(person, id)
    if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  }
  return id
}

/** Until Acme's events are read where a region was down: it owes no erasure any more, and every process knows. */
export const isRead = async (world: World): Promise<true> =>
  eventually('every region to be read', async () => {
    const answer = await world.gql(world.acme.key, '{ globalEvents(first: 1) { complete } }')
    return answer.data.globalEvents.complete === true
  })

/** What the API shows of an event. */
export interface ShownEvent {
  readonly id: string
  readonly erasedAt: string | null
  readonly actor: { id: string | null; email: string | null; name: string | null } | null
  readonly target: { id: string | null; type: string | null } | null
  readonly payload: Record<string, unknown>
  readonly metadata: Record<string, unknown> | null
  readonly changes: readonly unknown[] | null
  readonly traceId: string | null
}

/** An event of Acme's, by its API id. */
export async function showEvent(world: World, id: string): Promise<ShownEvent> {
  const answer = await world.gql(
    world.acme.key,
    `{ event(id: "${id}") { id erasedAt actor { id email name } target { id type } payload metadata changes { field old new } traceId } }`,
  )
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return answer.data.event
}

/** What the verification of one of Acme's chains comes to. */
export async function verifyChain(
  world: World,
  workspace: WorldWorkspace,
): Promise<{ ok: boolean; erasedEvents: number; firstBreak: unknown }> {
  const answer = await world.gql(
    world.acme.key,
    `{ verifyChain(workspaceId: "${workspace.gid}") { ok erasedEvents firstBreak { sequence reason } } }`,
  )
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return answer.data.verifyChain
}

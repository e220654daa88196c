import {
  buildSchema,
  getNamedType,
  getNullableType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLNamedType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
} from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeId } from '../../src/kernel/ids.js'
import { createWorld, type GraphqlAnswer, type World } from '../harness/app.js'
import { asPerson } from '../harness/actors.js'
import { archiveNow, DAY_MS, listObjects } from '../harness/archive.js'
import { eventually } from '../harness/eventually.js'
import { createRequest } from '../harness/gdpr.js'
import { readFileSync } from 'node:fs'

/*
 * Walks the schema: every query and mutation is called with the ids of Acme by those who have no business there. A field
 * whose ids this file doesn't know fails the test that names it, so that none is forgotten.
 */

const schema = buildSchema(readFileSync('schema.graphql', 'utf8'))
const queries = Object.values(schema.getQueryType()!.getFields())
const mutations = Object.values(schema.getMutationType()!.getFields())
const fields = [
  ...queries.map((field) => ['query', field] as const),
  ...mutations.map((field) => ['mutation', field] as const),
]

/** What anybody may call; what it gives them is tested where it belongs. */
const forEverybody = new Set(['viewer', 'signIn', 'acceptInvitation'])
const secret = 'acme-secret'

let world: World
let ids: Record<string, string>
beforeAll(async () => {
  world = await createWorld()
  const { acme } = world
  const [eventId] = await world.record(acme.in.EU, [
    { action: secret, category: secret, actor: { id: secret }, payload: { secret }, projectId: acme.in.EU.project.gid },
  ])
  await world.record(acme.in.AU, [{ action: secret, category: secret }])
  // Kept with the events of Acme: who sees one sees the other.
  const { data: asked } = await world.gql(
    acme.in.EU.key,
    `mutation { requestExport(input: { workspaceId: "${acme.in.EU.gid}", format: NDJSON }) { export { id } } }`,
  )
  await world.record(world.globex.in.EU, [{ action: 'globex', category: 'test' }])
  // In a region of its own: what is archived is in no list.
  await world.record(acme.in.APAC, [{ action: secret, category: secret }])
  const later = new Date(Date.now() + 400 * DAY_MS)
  await archiveNow(world, 'APAC', { clock: { now: () => later } })
  const [archived] = await listObjects(world, acme.in.APAC)
  const requester = await asPerson(world, { company: acme.id, role: 'OWNER' })
  const invited = await requester.gql(
    'mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { invitation { id } } }',
    { input: { companyId: acme.gid, email: `${secret}@people.example`, role: 'VIEWER' } },
  )
  const made = await createRequest(requester, { companyId: acme.gid, requestType: 'DELETE', actorId: secret })
  const request: string = made.data.createGdprRequest.gdprRequest.id
  ids = {
    companyId: acme.gid,
    workspaceId: acme.in.EU.gid,
    workspaceIds: acme.in.EU.gid,
    projectId: acme.in.EU.project.gid,
    apiKeyId: acme.keyGid,
    eventId: eventId!,
    userId: encodeId('user', '01890000-0000-7000-8000-000000000001'),
    'node.id': eventId!,
    'event.id': eventId!,
    'company.id': acme.gid,
    'workspace.id': acme.in.EU.gid,
    invitationId: invited.data.inviteMember.invitation.id,
    gdprRequestId: request,
    'gdprRequest.id': request,
    archiveObjectId: archived!.id,
    'export.id': asked.requestExport.export.id,
  }
})
afterAll(() => world.close())

function idFor(field: string, name: string): string {
  const id = ids[`${field}.${name}`] ?? ids[name]
  if (id === undefined) throw new Error(`Which id of Acme is ${field}(${name})? Add it to this test.`)
  return id
}

/** A literal for an argument or input field: Acme's id where an id is taken, else the least that is accepted. */
function literal(field: string, name: string, type: GraphQLInputType): string {
  const nullable = getNullableType(type)
  if (isListType(nullable)) return `[${literal(field, name, nullable.ofType)}]`
  if (isInputObjectType(nullable)) return `{ ${members(field, Object.values(nullable.getFields()))} }`
  if (isEnumType(nullable)) return nullable.getValues()[0]!.name
  switch (nullable.name) {
    case 'ID':
      return JSON.stringify(idFor(field, name))
    case 'String':
      return JSON.stringify(/email/i.test(name) ? 'a@example.com' : 'text')
    case 'Int':
    case 'SafeInt':
      return '1'
    case 'Boolean':
      return 'true'
    case 'DateTime':
      return '"2026-01-01T00:00:00Z"'
    case 'JSONObject':
      return '{}'
    default:
      throw new Error(`No value for ${field}(${name}: ${String(type)}). Add it to this test.`)
  }
}

/** All that are required, and everything that takes an id. */
const members = (field: string, all: readonly (GraphQLArgument | GraphQLInputField)[]): string =>
  all
    .filter(({ type }) => isNonNullType(type) || getNamedType(type).name === 'ID')
    .map(({ name, type }) => `${name}: ${literal(field, name, type)}`)
    .join(', ')

/** Leaves two levels deep: enough to show whatever would be told. */
function selection(type: GraphQLNamedType, depth = 2): string {
  if (!isCompositeType(type)) return ''
  const inner = ['__typename']
  if ('getFields' in type)
    for (const field of Object.values(type.getFields())) {
      if (field.args.some((arg) => isNonNullType(arg.type) && arg.defaultValue === undefined)) continue
      const result = getNamedType(field.type)
      if (isLeafType(result)) inner.push(field.name)
      else if (depth > 0) inner.push(`${field.name} ${selection(result, depth - 1)}`)
    }
  return `{ ${inner.join(' ')} }`
}

function call(kind: string, field: GraphQLField<unknown, unknown>): string {
  const args = members(field.name, field.args)
  return `${kind} { ${field.name}${args === '' ? '' : `(${args})`} ${selection(getNamedType(field.type))} }`
}

const valueOf = (answer: GraphqlAnswer, name: string): unknown => answer.data?.[name] ?? null
const codesOf = (answer: GraphqlAnswer): string[] => answer.errors?.map(({ extensions }) => extensions.code) ?? []

describe.each(fields.map(([kind, field]) => [`${kind} ${field.name}`, kind, field] as const))(
  '%s',
  (_, kind, field) => {
    it.skipIf(forEverybody.has(field.name))('tells nobody anything (UNAUTHENTICATED)', async () => {
      for (const key of [null, 'hlk_co_nonsense', `${world.acme.key}x`]) {
        const answer = await world.gql(key, call(kind, field))
        expect(valueOf(answer, field.name)).toBeNull()
        expect(codesOf(answer)).toEqual(['UNAUTHENTICATED'])
        expect(JSON.stringify(answer)).not.toContain(secret)
      }
    })

    it.skipIf(forEverybody.has(field.name))('tells another tenant nothing (null, NOT_FOUND or FORBIDDEN)', async () => {
      const { globex } = world
      for (const key of [globex.key, globex.in.EU.key]) {
        const answer = await world.gql(key, call(kind, field))
        expect(valueOf(answer, field.name)).toBeNull()
        for (const code of codesOf(answer)) expect(['NOT_FOUND', 'FORBIDDEN']).toContain(code)
        expect(JSON.stringify(answer)).not.toContain(secret)
      }
    })

    it.skipIf(forEverybody.has(field.name))("tells a key of another workspace nothing of this one's", async () => {
      const answer = await world.gql(world.acme.in.US.key, call(kind, field))
      for (const code of codesOf(answer)) expect(['NOT_FOUND', 'FORBIDDEN']).toContain(code)
      expect(JSON.stringify(answer.data ?? null)).not.toContain(secret)
    })
  },
)

describe('the same calls', () => {
  const readable = [
    'node',
    'event',
    'workspaceEvents',
    'companyEvents',
    'globalEvents',
    'companyRegions',
    'company',
    'workspace',
    'export',
  ]
  it.each(readable)('show %s to its company: the ids are the right ones', async (name) => {
    const answer = await world.gql(world.acme.key, call('query', schema.getQueryType()!.getFields()[name]!))
    expect(codesOf(answer)).toEqual([])
    expect(valueOf(answer, name)).not.toBeNull()
  })

  it("look alike for what is absent and what is another tenant's", async () => {
    const { acme, globex } = world
    const unknown = '01h455vb4pex5vsknk084sn02q'
    const pairs: [string, string, string][] = [
      ['event(id: $id) { id }', ids['eventId']!, `evt_eu_${unknown}`],
      ['workspace(id: $id) { id }', acme.in.EU.gid, `ws_${unknown}`],
      ['export(id: $id) { id }', ids['export.id']!, `exp_eu_${unknown}`],
      ['company(id: $id) { id }', acme.gid, `co_${unknown}`],
      ['companyRegions(companyId: $id) { primary { region } }', acme.gid, `co_${unknown}`],
      ['workspaceEvents(workspaceId: $id) { nodes { id } }', acme.in.EU.gid, `ws_${unknown}`],
      ['companyEvents(companyId: $id) { nodes { id } }', acme.gid, `co_${unknown}`],
      ['globalEvents(companyId: $id) { nodes { id } }', acme.gid, `co_${unknown}`],
      ['globalEvents(filter: { workspaceId: $id }) { nodes { id } }', acme.in.EU.gid, `ws_${unknown}`],
      ['globalEvents(filter: { projectId: $id }) { nodes { id } }', acme.in.EU.project.gid, `prj_${unknown}`],
      ...[acme.gid, acme.in.EU.gid, acme.in.EU.project.gid, acme.keyGid, ids['eventId']!].map(
        (id): [string, string, string] => [
          'node(id: $id) { id }',
          id,
          `${id.slice(0, id.lastIndexOf('_'))}_${unknown}`,
        ],
      ),
    ]
    for (const [field, foreign, absent] of pairs) {
      const ask = async (id: string) => {
        const { data, errors } = await world.gql(globex.key, `query ($id: ID!) { ${field} }`, { id })
        return { data, errors }
      }
      expect(await ask(foreign), field).toEqual(await ask(absent))
    }
  })

  it('record nothing: nobody else wrote into the chains of Acme', async () => {
    const { data } = await world.gql(world.acme.key, '{ globalEvents { nodes { action } } }')
    expect(data.globalEvents.nodes).toEqual([{ action: secret }, { action: secret }])
  })
})

describe('keys', () => {
  it('stop working at once when they are revoked', async () => {
    const { app, acme } = world
    const { key } = await world.makeKey({ companyId: acme.id, name: 'short-lived', scope: 'COMPANY' })
    const company = () => world.gql(key, '{ company { id } }')
    expect((await company()).data.company).toEqual({ id: acme.gid })
    await app.control.query("update api_key set revoked_at = now() where name = 'short-lived'")
    await eventually('the key is refused', async () => codesOf(await company())[0] === 'UNAUTHENTICATED', 2000)
  })

  it('are refused from addresses that are not on their list, whatever a header says', async () => {
    const { key } = await world.makeKey({
      companyId: world.acme.id,
      name: 'k',
      scope: 'COMPANY',
      ipAllowlist: ['203.0.113.0/24'],
    })
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${key}`,
      'x-forwarded-for': '203.0.113.9',
    }
    const response = await fetch(world.url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ query: '{ company { id } }' }),
    })
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] }
    expect(errors[0]!.extensions.code).toBe('FORBIDDEN')
  })

  it('that are read-only, or of a company, record nothing (FORBIDDEN)', async () => {
    const { acme } = world
    const readOnly = await world.makeKey({
      companyId: acme.id,
      workspaceId: acme.in.EU.id,
      name: 'r',
      scope: 'WORKSPACE',
      readOnly: true,
    })
    const ingest = 'mutation { ingestEvent(input: { action: "a", category: "c" }) { receipt { eventId } } }'
    for (const key of [readOnly.key, acme.key]) expect(codesOf(await world.gql(key, ingest))).toEqual(['FORBIDDEN'])
    expect(
      (await world.gql(readOnly.key, '{ workspaceEvents { nodes { id } } }')).data.workspaceEvents.nodes,
    ).toHaveLength(1)
  })
})

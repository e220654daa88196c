import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callers, isPermitted, type Caller, type Operation, permissionTable } from '../../src/auth/permission-table.js'
import { encodeId, encodeRegionalId, newUuid } from '../../src/kernel/ids.js'
import { buildSchema } from '../../src/server/build-schema.js'
import { asPerson, makePerson, outcome, signIn, signInMutation, type Person } from '../harness/actors.js'
import { createWorld, type GraphqlAnswer, type World } from '../harness/app.js'

let world: World
type Call = (query: string, variables?: Record<string, unknown>) => Promise<GraphqlAnswer>
let callOf: Record<Caller, Call>
const people = new Map<Caller, Person>()
let spare: Person

beforeAll(async () => {
  world = await createWorld()
  const { acme } = world
  const { AU } = acme.in
  const readOnly = await world.makeKey({
    companyId: acme.id,
    workspaceId: AU.id,
    name: 'r',
    scope: 'WORKSPACE',
    readOnly: true,
  })
  for (const role of ['OWNER', 'ADMIN', 'MEMBER', 'VIEWER'] as const)
    people.set(
      role,
      await asPerson(world, {
        company: acme.id,
        role,
        workspaces: role === 'MEMBER' || role === 'VIEWER' ? [AU.id] : [],
      }),
    )
  for (const staffRole of ['SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN', 'BILLING_ADMIN'] as const)
    people.set(staffRole, await asPerson(world, { staffRole }))
  spare = await makePerson(world, { company: acme.id, role: 'OWNER' })
  const byKey =
    (key: string | null): Call =>
    (query, variables) =>
      world.gql(key, query, variables)
  const byPerson =
    (caller: Caller): Call =>
    (query, variables) =>
      people.get(caller)!.gql(query, variables)
  callOf = Object.fromEntries(callers.map((caller) => [caller, byPerson(caller)])) as Record<Caller, Call>
  callOf = {
    ...callOf,
    NOBODY: byKey(null),
    COMPANY_KEY: byKey(acme.key),
    WORKSPACE_KEY: byKey(AU.key),
    READ_ONLY_KEY: byKey(readOnly.key),
  }
})
afterAll(() => world.close())

const strangeId = (kind: Parameters<typeof encodeId>[0]) => encodeId(kind, newUuid())
const label = { action: 'a', category: 'c' }
// Each query and mutation with arguments that do no harm where they are let through. A field without a call fails.
const calls: Record<string, () => { query: string; input?: Record<string, unknown> }> = {
  export: () => ({ query: `{ export(id: "${encodeRegionalId('export', 'AU', newUuid())}") { id } }` }),
  requestExport: () => ({
    query: mutation('requestExport', 'export { id }'),
    input: { workspaceId: world.acme.in.AU.gid, format: 'CSV' },
  }),
  node: () => ({ query: `{ node(id: "${world.acme.in.AU.gid}") { id } }` }),
  viewer: () => ({ query: '{ viewer { __typename } }' }),
  event: () => ({ query: `{ event(id: "${encodeRegionalId('event', 'AU', newUuid())}") { id } }` }),
  workspaceEvents: () => ({ query: `{ workspaceEvents(workspaceId: "${world.acme.in.AU.gid}") { nodes { id } } }` }),
  companyEvents: () => ({ query: `{ companyEvents(companyId: "${world.acme.gid}") { nodes { id } } }` }),
  globalEvents: () => ({ query: `{ globalEvents(companyId: "${world.acme.gid}") { nodes { id } } }` }),
  companyRegions: () => ({ query: `{ companyRegions(companyId: "${world.acme.gid}") { primary { region } } }` }),
  company: () => ({ query: `{ company(id: "${world.acme.gid}") { id workspaces { id } } }` }),
  workspace: () => ({ query: `{ workspace(id: "${world.acme.in.AU.gid}") { id } }` }),
  checkpoint: () => ({ query: `{ checkpoint(workspaceId: "${world.acme.in.AU.gid}") { treeSize } }` }),
  inclusionProof: () => ({
    query: `{ inclusionProof(eventId: "${encodeRegionalId('event', 'AU', newUuid())}") { leafIndex } }`,
  }),
  consistencyProof: () => ({
    query: `{ consistencyProof(workspaceId: "${world.acme.in.AU.gid}", fromTreeSize: 1, toTreeSize: 1) { hashes } }`,
  }),
  archiveObjects: () => ({ query: `{ archiveObjects(workspaceId: "${world.acme.in.AU.gid}") { totalCount } }` }),
  restoreEstimate: () => ({ query: `{ restoreEstimate(workspaceId: "${world.acme.in.AU.gid}") { bytes } }` }),
  requestRestore: () => ({
    query: mutation('requestRestore', 'archiveObject { id }'),
    input: { archiveObjectId: encodeRegionalId('archiveObject', 'AU', newUuid()) },
  }),
  verifyArchive: () => ({
    query: `mutation { verifyArchive(archiveObjectId: "${encodeRegionalId('archiveObject', 'AU', newUuid())}") { verdict } }`,
  }),
  verifyChain: () => ({ query: `{ verifyChain(workspaceId: "${world.acme.in.AU.gid}") { ok } }` }),
  createGdprRequest: () => ({
    query: mutation('createGdprRequest', 'gdprRequest { id }'),
    input: { companyId: world.acme.gid, requestType: 'DELETE', actorId: 'nobody' },
  }),
  approveGdprRequest: () => ({
    query: mutation('approveGdprRequest', 'gdprRequest { id }'),
    input: { gdprRequestId: strangeId('gdprRequest') },
  }),
  rejectGdprRequest: () => ({
    query: mutation('rejectGdprRequest', 'gdprRequest { id }'),
    input: { gdprRequestId: strangeId('gdprRequest'), reason: 'no' },
  }),
  retryGdprRequest: () => ({
    query: mutation('retryGdprRequest', 'gdprRequest { id }'),
    input: { gdprRequestId: strangeId('gdprRequest') },
  }),
  gdprRequest: () => ({ query: `{ gdprRequest(id: "${strangeId('gdprRequest')}") { id } }` }),
  gdprRequests: () => ({ query: `{ gdprRequests(companyId: "${world.acme.gid}") { nodes { id } } }` }),
  gdprPreview: () => ({
    query: `{ gdprPreview(gdprRequestId: "${strangeId('gdprRequest')}") { regions { events } } }`,
  }),
  setLegalHold: () => ({
    query: mutation('setLegalHold', 'active'),
    input: { companyId: world.acme.gid, active: false, reason: 'none' },
  }),
  setFourEyes: () => ({
    query: mutation('setFourEyes', 'required'),
    input: { companyId: world.acme.gid, required: true },
  }),
  apiKeys: () => ({ query: `{ apiKeys(companyId: "${world.acme.gid}") { id } }` }),
  invitations: () => ({ query: `{ invitations(companyId: "${world.acme.gid}") { id } }` }),
  members: () => ({ query: `{ members(companyId: "${world.acme.gid}") { role } }` }),
  adminLog: () => ({ query: `{ adminLog(companyId: "${world.acme.gid}") { totalCount } }` }),
  adminLogCheckpoint: () => ({ query: `{ adminLogCheckpoint(companyId: "${world.acme.gid}") { treeSize } }` }),
  adminLogVerification: () => ({ query: `{ adminLogVerification(companyId: "${world.acme.gid}") { ok } }` }),
  jobs: () => ({ query: '{ jobs { name runs { id } } }' }),
  regionHealth: () => ({ query: '{ regionHealth { region state } }' }),
  deadLetters: () => ({ query: '{ deadLetters(region: AU) { nodes { eventId } } }' }),
  triggerFailover: () => ({
    query: mutation('triggerFailover', 'regionHealth { state }'),
    input: { region: 'APAC', reason: '' },
  }),
  endFailover: () => ({
    query: mutation('endFailover', 'regionHealth { state }'),
    input: { region: 'APAC', reason: 'none' },
  }),
  retryDeadLetter: () => ({
    query: mutation('retryDeadLetter', 'recorded'),
    input: { eventId: encodeRegionalId('event', 'AU', newUuid()) },
  }),
  runJob: () => ({ query: mutation('runJob', 'run { outcome }'), input: { name: 'expire-sessions' } }),
  setCompanyReplication: () => ({
    query: mutation('setCompanyReplication', 'company { id }'),
    input: { companyId: strangeId('company'), replicateTo: [] },
  }),
  upsertRegionDataStore: () => ({
    query: mutation('upsertRegionDataStore', 'region'),
    input: { region: 'AU', dbUrl: 'none', coldStorageProvider: 'LOCAL', coldStorageBucket: 'cold' },
  }),
  resyncReplica: () => ({
    query: mutation('resyncReplica', 'region'),
    input: { workspaceId: strangeId('workspace'), region: 'AU' },
  }),
  ingestEvent: () => ({ query: mutation('ingestEvent', 'receipt { status }'), input: label }),
  ingestEvents: () => ({ query: mutation('ingestEvents', 'receipts { status }'), input: { events: [label] } }),
  signIn: () => ({ query: signInMutation, input: { email: spare.email, password: spare.password } }),
  signOut: () => ({ query: 'mutation { signOut { signedOut } }' }),
  signOutEverywhere: () => ({ query: 'mutation { signOutEverywhere { sessions } }' }),
  enrollTotp: () => ({ query: mutation('enrollTotp', 'enrolled'), input: { code: '000000' } }),
  // Too short a password, and no second factor to take off: nothing changes.
  changePassword: () => ({
    query: mutation('changePassword', 'endedSessions'),
    input: { currentPassword: spare.password, newPassword: 'short' },
  }),
  disableTotp: () => ({
    query: mutation('disableTotp', 'endedSessions'),
    input: { password: spare.password, code: '000000' },
  }),
  resetTotp: () => ({
    query: mutation('resetTotp', 'endedSessions'),
    input: { userId: strangeId('user'), reason: 'lost' },
  }),
  createCompany: () => ({ query: mutation('createCompany', 'company { id }'), input: { name: 'Made' } }),
  createWorkspace: () => ({
    query: mutation('createWorkspace', 'workspace { id }'),
    input: { companyId: world.acme.gid, name: 'Made' },
  }),
  updateWorkspace: () => ({
    query: mutation('updateWorkspace', 'workspace { id }'),
    input: { workspaceId: world.acme.in.AU.gid },
  }),
  archiveWorkspace: () => ({
    query: mutation('archiveWorkspace', 'workspace { id }'),
    input: { workspaceId: world.acme.in.APAC.gid },
  }),
  unarchiveWorkspace: () => ({
    query: mutation('unarchiveWorkspace', 'workspace { id }'),
    input: { workspaceId: world.acme.in.AU.gid },
  }),
  createProject: () => ({
    query: mutation('createProject', 'project { id }'),
    input: { workspaceId: world.acme.in.AU.gid, name: 'Made' },
  }),
  createApiKey: () => ({
    query: mutation('createApiKey', 'apiKey { id }'),
    input: { companyId: world.acme.gid, name: 'Made', scope: 'COMPANY' },
  }),
  rotateApiKey: () => ({
    query: mutation('rotateApiKey', 'apiKey { id }'),
    input: { apiKeyId: world.acme.keyGid, graceSeconds: 3600 },
  }),
  revokeApiKey: () => ({ query: mutation('revokeApiKey', 'apiKey { id }'), input: { apiKeyId: strangeId('apiKey') } }),
  inviteMember: () => ({
    query: mutation('inviteMember', 'invitation { id }'),
    input: { companyId: world.acme.gid, email: 'somebody@people.example', role: 'VIEWER' },
  }),
  revokeInvitation: () => ({
    query: mutation('revokeInvitation', 'invitationId'),
    input: { invitationId: strangeId('invitation') },
  }),
  acceptInvitation: () => ({
    query: mutation('acceptInvitation', 'member { role }'),
    input: { token: 'A'.repeat(43) },
  }),
  changeMemberRole: () => ({
    query: mutation('changeMemberRole', 'member { role }'),
    input: { companyId: world.acme.gid, userId: strangeId('user'), role: 'VIEWER' },
  }),
  removeMember: () => ({
    query: mutation('removeMember', 'userId'),
    input: { companyId: world.acme.gid, userId: strangeId('user') },
  }),
  transferOwnership: () => ({
    query: mutation('transferOwnership', 'member { role }'),
    input: { companyId: world.acme.gid, userId: strangeId('user') },
  }),
}

function mutation(field: string, selection: string): string {
  const type = `${field[0]!.toUpperCase()}${field.slice(1)}Input`.replace(/^Unarchive/, 'Archive')
  return `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} } }`
}

const schema = buildSchema()
const fields = [schema.getQueryType()!, schema.getMutationType()!].flatMap((type) => Object.keys(type.getFields()))
const refusals = ['FORBIDDEN', 'UNAUTHENTICATED']

it('the permission table has every query and mutation of the schema, and nothing else', () => {
  expect(Object.keys(permissionTable).toSorted()).toEqual(fields.toSorted())
  expect(Object.keys(calls).toSorted()).toEqual(fields.toSorted())
})

describe.each(fields)('%s', (field) => {
  it.each(callers)('by %s', async (caller) => {
    const { query, input } = calls[field]!()
    const person = people.get(caller)
    const answer = await callOf[caller](query, input === undefined ? {} : { input })
    // Whoever left, or came in as somebody else, comes back as itself.
    if (person !== undefined && field.startsWith('sign')) await signIn(person)
    const code = outcome(answer)
    expect(!refusals.includes(code), code).toBe(isPermitted(field as Operation, caller))
    expect(code).not.toBe('INTERNAL_SERVER_ERROR')
    expect(code).not.toBe('GRAPHQL_VALIDATION_FAILED')
  })
})

// Fields that are about nothing of anybody's.
const ownOnly = new Set([
  'viewer',
  'signIn',
  'signOut',
  'signOutEverywhere',
  'enrollTotp',
  'changePassword',
  'disableTotp',
  'acceptInvitation',
])

it.each(fields.filter((field) => !ownOnly.has(field)))(
  "an OWNER of another company gets nothing of this one's through %s",
  async (field) => {
    const stranger = await asPerson(world, { company: world.globex.id, role: 'OWNER' })
    const { query, input } = calls[field]!()
    const answer = await stranger.gql(query, input === undefined ? {} : { input })
    const data: unknown = answer.data === null || answer.data === undefined ? null : answer.data[field]
    expect(data ?? null).toBeNull()
    expect(['OK', 'NOT_FOUND', 'FORBIDDEN']).toContain(outcome(answer))
  },
)

describe('a MEMBER', () => {
  it('sees the workspaces it was let into, and their events, alone', async () => {
    const { acme } = world
    await world.record(acme.in.AU, [{ action: 'in.au', category: 'c' }])
    await world.record(acme.in.EU, [{ action: 'in.eu', category: 'c' }])
    const member = people.get('MEMBER')!
    const listed = await member.gql(
      '{ company { workspaces { id } } globalEvents { nodes { action workspace { id } } } }',
    )
    expect(listed.data.company.workspaces).toEqual([{ id: acme.in.AU.gid }])
    expect(listed.data.globalEvents.nodes.map((node: { action: string }) => node.action)).toContain('in.au')
    for (const { workspace } of listed.data.globalEvents.nodes) expect(workspace.id).toBe(acme.in.AU.gid)
    const eu = acme.in.EU.gid
    expect((await member.gql(`{ workspace(id: "${eu}") { id } }`)).data.workspace).toBeNull()
    expect((await member.gql(`{ node(id: "${acme.in.EU.project.gid}") { id } }`)).data.node).toBeNull()
    expect(outcome(await member.gql(`{ workspaceEvents(workspaceId: "${eu}") { nodes { id } } }`))).toBe('NOT_FOUND')
    expect(outcome(await member.gql(`{ globalEvents(filter: { workspaceId: "${eu}" }) { nodes { id } } }`))).toBe(
      'NOT_FOUND',
    )
    const create = mutation('createProject', 'project { id }')
    expect(outcome(await member.gql(create, { input: { workspaceId: eu, name: 'x' } }))).toBe('NOT_FOUND')
    const ids = await world.record(acme.in.EU, [{ action: 'in.eu', category: 'c' }])
    expect((await member.gql(`{ event(id: "${ids[0]!}") { id } }`)).data.event).toBeNull()
  })

  it('has its role read from the database, and loses what it sees with the next request', async () => {
    const { acme } = world
    const member = await asPerson(world, { company: acme.id, role: 'MEMBER', workspaces: [acme.in.AU.id] })
    expect((await member.gql('{ company { id } }')).data.company.id).toBe(acme.gid)
    const remove = await people.get('OWNER')!.gql(mutation('removeMember', 'userId'), {
      input: { companyId: acme.gid, userId: member.gid },
    })
    expect(outcome(remove)).toBe('OK')
    expect((await member.gql('{ company { id } }')).data.company).toBeNull()
    expect(outcome(await member.gql(`{ globalEvents(companyId: "${acme.gid}") { nodes { id } } }`))).toBe('NOT_FOUND')
  })
})

describe('events by staff and people', () => {
  it('node and event show an event to its company and to staff', async () => {
    const [id] = await world.record(world.acme.in.AU, [
      { action: 'seen', category: 'c', actor: { email: 'x@acme.example' } },
    ])
    const query = `{ event(id: "${id!}") { action actor { email } company { id } } }`
    for (const caller of ['OWNER', 'MEMBER'] as const)
      expect((await callOf[caller](query)).data.event).toEqual({
        action: 'seen',
        actor: { email: 'x@acme.example' },
        company: { id: world.acme.gid },
      })
  })
})

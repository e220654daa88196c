import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeId } from '../../src/kernel/ids.js'
import { asPerson, makePerson, newBrowser, outcome, signIn, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { settableClock } from '../harness/settable-clock.js'

const invite =
  'mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { token invitation { id email role expiresAt } } }'
const accept =
  'mutation ($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { member { role user { id email } workspaces { id } } } }'
const change = 'mutation ($input: ChangeMemberRoleInput!) { changeMemberRole(input: $input) { member { role } } }'
const remove = 'mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { userId } }'
const transfer =
  'mutation ($input: TransferOwnershipInput!) { transferOwnership(input: $input) { member { role user { id } } } }'
const DAY_MS = 86_400_000

let world: World
const clock = settableClock()
beforeAll(async () => {
  world = await createWorld({ clock })
})
afterAll(() => world.close())

/** A company of its own, whose only OWNER is signed in. */
async function freshCompany(): Promise<{ id: string; gid: string; owner: Person }> {
  const staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
  const made = await staff.gql('mutation { createCompany(input: { name: "Fresh" }) { company { id } } }')
  const gid = made.data.createCompany.company.id as string
  const owner = await makePerson(world, {})
  const invited = await staff.gql(invite, { input: { companyId: gid, email: owner.email, role: 'OWNER' } })
  await signIn(owner)
  await owner.gql(accept, { input: { token: invited.data.inviteMember.token } })
  const id = (
    await world.app.control.query<{ company_id: string }>('select company_id from company_member where user_id = $1', [
      owner.id,
    ])
  )[0]!.company_id
  return { id, gid, owner }
}
const rolesOf = async (owner: Person, companyId: string): Promise<string[]> =>
  (await owner.gql('query ($id: ID) { members(companyId: $id) { role } }', { id: companyId })).data.members.map(
    (m: { role: string }) => m.role,
  )

describe('an invitation', () => {
  it('makes somebody new a member with an account of its own, once', async () => {
    const { gid, owner } = await freshCompany()
    const input = { companyId: gid, email: ' New.Comer@People.Example ', role: 'ADMIN' }
    const { token, invitation } = (await owner.gql(invite, { input })).data.inviteMember
    expect(invitation.email).toBe('new.comer@people.example')
    const newcomer = newBrowser(world)
    const told = { token, name: 'New Comer', password: 'a long enough password' }
    expect(outcome(await newcomer.gql(accept, { input: { ...told, password: 'short' } }))).toBe('BAD_USER_INPUT')
    const both = await Promise.all([1, 2].map(() => newBrowser(world).gql(accept, { input: told })))
    expect(both.map(outcome).filter((code) => code === 'OK')).toHaveLength(1)
    expect(outcome(await newcomer.gql(accept, { input: told }))).toBe('NOT_FOUND')
    const person = Object.assign(newcomer, {
      id: '',
      gid: '',
      email: invitation.email as string,
      password: told.password,
    })
    expect(outcome(await signIn(person))).toBe('OK')
    expect((await person.gql('{ company { id } }')).data.company.id).toBe(gid)
  })

  it('of an existing account takes that account, signed in', async () => {
    const { gid, owner } = await freshCompany()
    const invited = await makePerson(world, { company: world.globex.id, role: 'VIEWER' })
    const other = await asPerson(world, { company: world.globex.id, role: 'VIEWER' })
    const { token } = (await owner.gql(invite, { input: { companyId: gid, email: invited.email, role: 'ADMIN' } })).data
      .inviteMember
    const input = { token, name: 'x', password: 'a long enough password' }
    expect(outcome(await newBrowser(world).gql(accept, { input }))).toBe('UNAUTHENTICATED')
    expect(outcome(await other.gql(accept, { input }))).toBe('FORBIDDEN')
    expect(outcome(await world.gql(world.acme.key, accept, { input }))).toBe('FORBIDDEN')
    await signIn(invited)
    expect((await invited.gql(accept, { input: { token } })).data.acceptInvitation.member.role).toBe('ADMIN')
    const mine = await invited.gql('{ viewer { ... on UserViewer { memberships { company { id } role } } } }')
    expect(mine.data.viewer.memberships).toHaveLength(2)
    // Of two companies it has to say which.
    expect(outcome(await invited.gql('{ globalEvents { nodes { id } } }'))).toBe('BAD_USER_INPUT')
  })

  it('lets a MEMBER into the workspaces it names, which must be the company’s', async () => {
    const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const input = { companyId: world.acme.gid, email: 'guest@people.example', role: 'MEMBER' }
    const foreign = await owner.gql(invite, { input: { ...input, workspaceIds: [world.globex.in.AU.gid] } })
    expect(outcome(foreign)).toBe('NOT_FOUND')
    expect(
      outcome(await owner.gql(invite, { input: { ...input, role: 'ADMIN', workspaceIds: [world.acme.in.AU.gid] } })),
    ).toBe('BAD_USER_INPUT')
    const { token } = (await owner.gql(invite, { input: { ...input, workspaceIds: [world.acme.in.EU.gid] } })).data
      .inviteMember
    const joined = await newBrowser(world).gql(accept, {
      input: { token, name: 'Guest', password: 'a long enough password' },
    })
    expect(joined.data.acceptInvitation.member).toMatchObject({
      role: 'MEMBER',
      user: { email: 'guest@people.example' },
    })
    const rows = await world.app.control.query('select from workspace_member where workspace_id = $1', [
      world.acme.in.EU.id,
    ])
    expect(rows).toHaveLength(1)
  })

  it('is worth nothing after 7 days, or once a newer one took its place', async () => {
    const { gid, owner } = await freshCompany()
    const ask = async (email: string): Promise<string> =>
      (await owner.gql(invite, { input: { companyId: gid, email, role: 'VIEWER' } })).data.inviteMember.token
    const use = (token: string) =>
      newBrowser(world).gql(accept, { input: { token, name: 'x', password: 'a long enough password' } })
    const first = await ask('twice@people.example')
    const second = await ask('twice@people.example')
    expect(outcome(await use(first))).toBe('NOT_FOUND')
    expect(outcome(await use(second))).toBe('OK')
    const late = await ask('late@people.example')
    clock.advance(7 * DAY_MS + 1)
    expect(outcome(await use(late))).toBe('NOT_FOUND')
  })

  it('is listed while it can be accepted, and taken back', async () => {
    const { id, gid, owner } = await freshCompany()
    const admin = await asPerson(world, { company: id, role: 'ADMIN' })
    const ask = async (email: string, role = 'VIEWER') =>
      (await owner.gql(invite, { input: { companyId: gid, email, role } })).data.inviteMember
    const listed = async (who: Person): Promise<string[]> =>
      (await who.gql('query ($id: ID) { invitations(companyId: $id) { email } }', { id: gid })).data.invitations.map(
        ({ email }: { email: string }) => email,
      )
    const revoke = async (who: Person, invitationId: string) =>
      outcome(
        await who.gql(
          'mutation ($input: RevokeInvitationInput!) { revokeInvitation(input: $input) { invitationId } }',
          { input: { invitationId } },
        ),
      )
    const use = async (token: string) =>
      outcome(await newBrowser(world).gql(accept, { input: { token, name: 'x', password: 'a long enough password' } }))
    const late = await ask('late@people.example')
    clock.advance(7 * DAY_MS + 1)
    await signIn(owner)
    await signIn(admin)
    const stranger = await asPerson(world, { company: world.globex.id, role: 'OWNER' })
    const one = await ask('one@people.example')
    clock.advance(1)
    const two = await ask('two@people.example', 'OWNER')
    expect(await listed(admin)).toEqual(['two@people.example', 'one@people.example'])
    expect(await revoke(stranger, one.invitation.id)).toBe('NOT_FOUND')
    expect(await revoke(admin, two.invitation.id)).toBe('FORBIDDEN')
    expect(await revoke(admin, late.invitation.id)).toBe('CONFLICT')
    expect(await revoke(admin, one.invitation.id)).toBe('OK')
    expect(await revoke(admin, one.invitation.id)).toBe('CONFLICT')
    expect(await use(one.token)).toBe('NOT_FOUND')
    expect(await listed(owner)).toEqual(['two@people.example'])
    const again = await ask('one@people.example')
    expect(await use(one.token)).toBe('NOT_FOUND')
    expect(await use(again.token)).toBe('OK')
    expect(await use(two.token)).toBe('OK')
    expect(await listed(owner)).toEqual([])
    const staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
    const log = await staff.gql('query ($id: ID) { adminLog(companyId: $id) { nodes { action targetId actorId } } }', {
      id: gid,
    })
    expect(log.data.adminLog.nodes).toContainEqual({
      action: 'member.invitation_revoked',
      targetId: one.invitation.id,
      actorId: admin.gid,
    })
  })

  it('is stored hashed', async () => {
    const { gid, owner } = await freshCompany()
    const { token } = (
      await owner.gql(invite, { input: { companyId: gid, email: 'h@people.example', role: 'VIEWER' } })
    ).data.inviteMember
    const dump = await world.app.control.query<{ t: string }>('select i::text as t from invitation i')
    for (const { t } of dump) {
      expect(t).not.toContain(token)
      expect(t).not.toContain(Buffer.from(token as string).toString('hex'))
    }
  })
})

describe('owners', () => {
  it('an ADMIN makes, changes and removes none (FORBIDDEN)', async () => {
    const { id, gid, owner } = await freshCompany()
    const admin = await asPerson(world, { company: id, role: 'ADMIN' })
    const viewer = await makePerson(world, { company: id, role: 'VIEWER' })
    expect(outcome(await admin.gql(change, { input: { companyId: gid, userId: viewer.gid, role: 'OWNER' } }))).toBe(
      'FORBIDDEN',
    )
    expect(outcome(await admin.gql(change, { input: { companyId: gid, userId: admin.gid, role: 'OWNER' } }))).toBe(
      'FORBIDDEN',
    )
    expect(outcome(await admin.gql(change, { input: { companyId: gid, userId: owner.gid, role: 'VIEWER' } }))).toBe(
      'FORBIDDEN',
    )
    expect(outcome(await admin.gql(remove, { input: { companyId: gid, userId: owner.gid } }))).toBe('FORBIDDEN')
    expect(
      outcome(await admin.gql(invite, { input: { companyId: gid, email: 'o@people.example', role: 'OWNER' } })),
    ).toBe('FORBIDDEN')
    expect(outcome(await admin.gql(transfer, { input: { companyId: gid, userId: admin.gid } }))).toBe('FORBIDDEN')
    expect(outcome(await admin.gql(change, { input: { companyId: gid, userId: viewer.gid, role: 'MEMBER' } }))).toBe(
      'OK',
    )
  })

  it('the last one stays (CONFLICT)', async () => {
    const { gid, owner } = await freshCompany()
    expect(outcome(await owner.gql(change, { input: { companyId: gid, userId: owner.gid, role: 'ADMIN' } }))).toBe(
      'CONFLICT',
    )
    expect(outcome(await owner.gql(remove, { input: { companyId: gid, userId: owner.gid } }))).toBe('CONFLICT')
  })

  it.each(['leave', 'step down', 'remove each other'])('two who %s at once leave one', async (how) => {
    for (let round = 0; round < 5; round++) {
      const { id, gid, owner } = await freshCompany()
      const second = await asPerson(world, { company: id, role: 'OWNER' })
      const act = (who: Person, whom: Person) =>
        how === 'step down'
          ? who.gql(change, { input: { companyId: gid, userId: whom.gid, role: 'ADMIN' } })
          : who.gql(remove, { input: { companyId: gid, userId: whom.gid } })
      const crossed = how === 'remove each other'
      const answers = await Promise.all([act(owner, crossed ? second : owner), act(second, crossed ? owner : second)])
      expect(answers.map(outcome).filter((code) => code === 'OK')).toHaveLength(1)
      const rows = await world.app.control.query(
        "select from company_member where company_id = $1 and role = 'OWNER'",
        [id],
      )
      expect(rows).toHaveLength(1)
    }
  })

  it('transfer makes the other OWNER and the caller ADMIN', async () => {
    const { id, gid, owner } = await freshCompany()
    const next = await asPerson(world, { company: id, role: 'VIEWER' })
    const moved = await owner.gql(transfer, { input: { companyId: gid, userId: next.gid } })
    expect(moved.data.transferOwnership.member).toEqual({ role: 'OWNER', user: { id: next.gid } })
    expect((await rolesOf(next, gid)).toSorted()).toEqual(['ADMIN', 'OWNER'])
    expect(outcome(await owner.gql(transfer, { input: { companyId: gid, userId: next.gid } }))).toBe('FORBIDDEN')
  })
})

it('the database refuses a workspace membership of who is not of the company', async () => {
  const person = await makePerson(world, { company: world.globex.id, role: 'VIEWER' })
  const insert =
    'insert into workspace_member (company_id, workspace_id, user_id, created_at) values ($1, $2, $3, now())'
  await expect(world.app.control.query(insert, [world.acme.id, world.acme.in.AU.id, person.id])).rejects.toThrow(
    '23503',
  )
})

it('an account is shown to itself and to administrators of its companies', async () => {
  const owner = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
  const viewer = await asPerson(world, { company: world.acme.id, role: 'VIEWER' })
  const stranger = await asPerson(world, { company: world.globex.id, role: 'OWNER' })
  const ask = async (who: Person) =>
    (await who.gql('query ($id: ID!) { node(id: $id) { id } }', { id: viewer.gid })).data.node
  expect(await ask(owner)).toEqual({ id: viewer.gid })
  expect(await ask(viewer)).toEqual({ id: viewer.gid })
  expect(await ask(stranger)).toBeNull()
  expect(
    (await viewer.gql('query ($id: ID!) { node(id: $id) { id } }', { id: encodeId('user', owner.id) })).data.node,
  ).toBeNull()
})

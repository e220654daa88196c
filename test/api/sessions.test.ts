import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { totpCode, totpStep } from '../../src/auth/totp.js'
import { asPerson, makePerson, newBrowser, outcome, signIn, signInMutation, type Person } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { settableClock } from '../harness/settable-clock.js'

const viewerQuery =
  '{ viewer { kind: __typename ... on UserViewer { user { email } memberships { role company { id } } } ... on StaffViewer { staffRole } ... on AnonymousViewer { reason } } }'
const MINUTE_MS = 60_000

let world: World
const clock = settableClock()
beforeAll(async () => {
  world = await createWorld({
    clock,
    config: { allowedOrigins: ['https://console.example'], trustedProxies: ['127.0.0.1'] },
  })
})
afterAll(() => world.close())

const whoIs = async (browser: Pick<Person, 'gql'>): Promise<string> => (await browser.gql(viewerQuery)).data.viewer.kind
const owner = () => makePerson(world, { company: world.acme.id, role: 'OWNER' })

describe('signing in', () => {
  it('gives an HttpOnly cookie, of which only a hash is stored', async () => {
    const person = await owner()
    const answer = await signIn(person)
    expect(answer.data.signIn.user.email).toBe(person.email)
    const cookie = answer.headers.getSetCookie()[0]!
    expect(cookie).toMatch(/^hyrelog_session=[\w-]{43}; /)
    expect(cookie).toMatch(/HttpOnly/)
    expect(cookie).toMatch(/SameSite=Lax/)
    expect(cookie).not.toMatch(/Secure/)
    const token = person.cookie!.split('=')[1]!
    const rows = await world.app.control.query<{ text: string }>('select session::text as text from session')
    expect(rows.length).toBeGreaterThan(0)
    for (const row of rows) {
      expect(row.text).not.toContain(token)
      expect(row.text).not.toContain(Buffer.from(token).toString('hex'))
    }
    const viewer = await person.gql(viewerQuery)
    expect(viewer.data.viewer).toMatchObject({
      kind: 'UserViewer',
      memberships: [{ role: 'OWNER', company: { id: world.acme.gid } }],
    })
  })

  it('over TLS gives a __Host- cookie that is Secure, and takes no other', async () => {
    const person = await owner()
    const tls = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' }
    const input = { email: person.email, password: person.password }
    const answer = await person.gql(signInMutation, { input }, tls)
    expect(answer.headers.getSetCookie()[0]).toMatch(/^__Host-hyrelog_session=.*; Path=\/;.*Secure/)
    expect((await person.gql(viewerQuery, {}, tls)).data.viewer.kind).toBe('UserViewer')
    person.cookie = person.cookie!.replace('__Host-', '')
    expect((await person.gql(viewerQuery, {}, tls)).data.viewer.kind).toBe('AnonymousViewer')
  })

  it('answers a wrong password and an unknown account alike (UNAUTHENTICATED)', async () => {
    const person = await owner()
    const wrong = await person.gql(signInMutation, { input: { email: person.email, password: 'no' } })
    const unknown = await person.gql(signInMutation, { input: { email: 'nobody@people.example', password: 'no' } })
    expect(outcome(wrong)).toBe('UNAUTHENTICATED')
    expect(unknown.errors).toEqual(wrong.errors)
    expect(wrong.headers.getSetCookie()).toEqual([])
    for (const email of ['', 'a\0b', '\ud800'])
      expect(outcome(await person.gql(signInMutation, { input: { email, password: 'no' } }))).toMatch(
        /UNAUTHENTICATED|BAD_USER_INPUT/,
      )
  })

  it('ends the session the browser had before', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const before = person.cookie
    await signIn(person)
    expect(person.cookie).not.toBe(before)
    const old = Object.assign(newBrowser(world), { cookie: before })
    expect(await whoIs(old)).toBe('AnonymousViewer')
    expect(await whoIs(person)).toBe('UserViewer')
  })

  it.each(['known', 'unknown'])(
    'limits attempts on one account that is %s (RATE_LIMITED), those made at once too',
    async (kind) => {
      const person = await owner()
      const email = kind === 'known' ? person.email : `${kind}-${person.email}`
      const from = { 'x-forwarded-for': kind === 'known' ? '198.51.100.1' : '198.51.100.2' }
      const attempt = (given: string) =>
        newBrowser(world).gql(signInMutation, { input: { email, password: given } }, from)
      const answers = await Promise.all(Array.from({ length: 14 }, () => attempt('no')))
      const codes = answers.map(outcome)
      expect(codes.filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(10)
      expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(4)
      const refused = await attempt(person.password)
      expect(outcome(refused)).toBe('RATE_LIMITED')
      expect(refused.errors![0]!.extensions.retryAfterMs).toBeGreaterThan(0)
      clock.advance(16 * MINUTE_MS)
      expect(outcome(await attempt(person.password))).toBe(kind === 'known' ? 'OK' : 'UNAUTHENTICATED')
    },
  )

  it('limits attempts from one address, whosever accounts they are on', async () => {
    const from = { 'x-forwarded-for': '2001:db8:1::7' }
    const person = await owner()
    const attempt = (email: string, address = from) =>
      newBrowser(world).gql(signInMutation, { input: { email, password: 'no' } }, address)
    for (let i = 0; i < 50; i += 10)
      await Promise.all(Array.from({ length: 10 }, (_, n) => attempt(`a${i + n}@people.example`)))
    expect(outcome(await attempt(person.email))).toBe('RATE_LIMITED')
    expect(outcome(await attempt(person.email, { 'x-forwarded-for': '2001:db8:1::ffff' }))).toBe('RATE_LIMITED')
    expect(outcome(await attempt(person.email, { 'x-forwarded-for': '2001:db8:2::7' }))).toBe('UNAUTHENTICATED')
  })
})

describe('a session', () => {
  it('ends after 30 minutes without a request, and not while it is used', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    for (let i = 0; i < 4; i++) {
      clock.advance(25 * MINUTE_MS)
      expect(await whoIs(person)).toBe('UserViewer')
    }
    clock.advance(31 * MINUTE_MS)
    expect(await whoIs(person)).toBe('AnonymousViewer')
    expect(outcome(await person.gql('{ company { id } }'))).toBe('UNAUTHENTICATED')
  })

  it('ends after 12 hours, however busy', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    for (let minutes = 0; minutes < 12 * 60 - 20; minutes += 20) {
      clock.advance(20 * MINUTE_MS)
      expect(await whoIs(person)).toBe('UserViewer')
    }
    clock.advance(21 * MINUTE_MS)
    expect(await whoIs(person)).toBe('AnonymousViewer')
  })

  it('ends by signOut; all of an account by signOutEverywhere', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const elsewhere = Object.assign(newBrowser(world), {
      email: person.email,
      password: person.password,
      id: '',
      gid: '',
    })
    await signIn(elsewhere)
    const third = Object.assign(newBrowser(world), { email: person.email, password: person.password, id: '', gid: '' })
    await signIn(third)
    const token = third.cookie
    expect((await third.gql('mutation { signOut { signedOut } }')).data.signOut.signedOut).toBe(true)
    expect(third.cookie).toBeNull()
    expect(await whoIs(Object.assign(newBrowser(world), { cookie: token }))).toBe('AnonymousViewer')
    expect((await person.gql('mutation { signOutEverywhere { sessions } }')).data.signOutEverywhere.sessions).toBe(2)
    expect(await whoIs(elsewhere)).toBe('AnonymousViewer')
  })

  it('gets a new id when the role changes; requests under way with the old one still count', async () => {
    const boss = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const person = await asPerson(world, { company: world.acme.id, role: 'ADMIN' })
    const before = person.cookie
    const change = await boss.gql(
      'mutation ($input: ChangeMemberRoleInput!) { changeMemberRole(input: $input) { member { role } } }',
      { input: { companyId: world.acme.gid, userId: person.gid, role: 'OWNER' } },
    )
    expect(change.data.changeMemberRole.member.role).toBe('OWNER')
    const stale = Object.assign(newBrowser(world), { cookie: before })
    expect((await person.gql(viewerQuery)).data.viewer.memberships[0].role).toBe('OWNER')
    expect(person.cookie).not.toBe(before)
    expect(await whoIs(stale)).toBe('UserViewer')
    clock.advance(11_000)
    expect(await whoIs(stale)).toBe('AnonymousViewer')
    expect(await whoIs(person)).toBe('UserViewer')
  })

  it('is not for pages of another origin (FORBIDDEN)', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const { host } = new URL(world.url)
    const asks = async (headers: Record<string, string>) => outcome(await person.gql('{ company { id } }', {}, headers))
    expect(await asks({ origin: 'https://evil.example' })).toBe('FORBIDDEN')
    expect(await asks({ origin: 'null' })).toBe('FORBIDDEN')
    expect(await asks({ origin: `http://${host}` })).toBe('OK')
    expect(await asks({ origin: 'https://console.example' })).toBe('OK')
    const input = { email: person.email, password: person.password }
    expect(outcome(await newBrowser(world).gql(signInMutation, { input }, { origin: 'https://evil.example' }))).toBe(
      'FORBIDDEN',
    )
  })

  it('takes JSON only', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const body = JSON.stringify({ query: 'mutation { signOut { signedOut } }' })
      const response = await fetch(world.url, {
        method: 'POST',
        headers: { 'content-type': type, cookie: person.cookie! },
        body,
      })
      expect(response.status).toBeGreaterThanOrEqual(400)
    }
    expect(await whoIs(person)).toBe('UserViewer')
  })
})

const idOf = ({ id, gid }: Person) => ({ id, gid })

describe('the password', () => {
  const change = 'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { endedSessions } }'
  const newPassword = 'another long password'

  it('is changed with the current one; the other sessions end and this one gets a new id', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const elsewhere = Object.assign(newBrowser(world), {
      ...idOf(person),
      email: person.email,
      password: person.password,
    })
    await signIn(elsewhere)
    const attempt = (currentPassword: string, to: string) =>
      person.gql(change, { input: { currentPassword, newPassword: to } })
    expect(outcome(await attempt('not the current one', newPassword))).toBe('UNAUTHENTICATED')
    expect(outcome(await attempt(person.password, 'short'))).toBe('BAD_USER_INPUT')
    expect(outcome(await attempt(person.password, person.password))).toBe('BAD_USER_INPUT')
    expect(await whoIs(elsewhere)).toBe('UserViewer')
    const before = person.cookie
    expect((await attempt(person.password, newPassword)).data.changePassword.endedSessions).toBe(1)
    expect(await whoIs(elsewhere)).toBe('AnonymousViewer')
    expect(await whoIs(person)).toBe('UserViewer')
    expect(person.cookie).not.toBe(before)
    expect(outcome(await signIn(elsewhere))).toBe('UNAUTHENTICATED')
    expect(outcome(await signIn(Object.assign(elsewhere, { password: newPassword })))).toBe('OK')
    const staff = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
    const log = await staff.gql('query ($id: ID) { adminLog(companyId: $id) { nodes { action actorId payload } } }', {
      id: world.acme.gid,
    })
    expect(log.data.adminLog.nodes).toContainEqual({
      action: 'session.password_changed',
      actorId: person.gid,
      payload: { sessions: 1 },
    })
    expect(JSON.stringify(log.data)).not.toContain(newPassword)
  })

  it('is not guessed through a session that is somebody else’s by now (RATE_LIMITED)', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    const from = { 'x-forwarded-for': '198.51.100.77' }
    const answers = []
    for (let i = 0; i < 12; i++)
      answers.push(await person.gql(change, { input: { currentPassword: `guess number ${i}`, newPassword } }, from))
    expect(answers.map(outcome)).toEqual([
      ...Array.from({ length: 10 }, () => 'UNAUTHENTICATED'),
      'RATE_LIMITED',
      'RATE_LIMITED',
    ])
    clock.advance(16 * MINUTE_MS)
    const racing = await Promise.all(
      [1, 2, 3].map((n) =>
        person.gql(change, { input: { currentPassword: person.password, newPassword: `${newPassword} ${n}` } }),
      ),
    )
    expect(racing.map(outcome).filter((code) => code === 'OK')).toHaveLength(1)
  })
})

describe('the second factor', () => {
  const enroll = 'mutation ($input: EnrollTotpInput!) { enrollTotp(input: $input) { enrolled secret uri } }'
  const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bytesOf = (text: string) =>
    Buffer.from(
      [...text]
        .map((char) => base32.indexOf(char).toString(2).padStart(5, '0'))
        .join('')
        .match(/.{8}/g)!
        .map((bits) => parseInt(bits, 2)),
    )
  const codeNow = (secret: Buffer, offset = 0) => totpCode(secret, totpStep(clock.now()) + offset)

  it('is enrolled with password and code, and needed from then on; a code counts once', async () => {
    const person = await asPerson(world, { company: world.acme.id, role: 'OWNER' })
    expect(outcome(await person.gql(enroll, { input: { password: 'no' } }))).toBe('UNAUTHENTICATED')
    expect(outcome(await person.gql(enroll, { input: { code: '123456' } }))).toBe('CONFLICT')
    const begun = await person.gql(enroll, { input: { password: person.password } })
    const secret = bytesOf(begun.data.enrollTotp.secret)
    expect(begun.data.enrollTotp).toMatchObject({
      enrolled: false,
      uri: expect.stringContaining('otpauth://totp/') as string,
    })
    expect(outcome(await signIn(person))).toBe('OK')
    const confirmed = await person.gql(enroll, { input: { code: codeNow(secret) } })
    expect(confirmed.data.enrollTotp).toEqual({ enrolled: true, secret: null, uri: null })
    expect(outcome(await person.gql(enroll, { input: { password: person.password } }))).toBe('CONFLICT')
    expect(outcome(await signIn(person))).toBe('TOTP_REQUIRED')
    expect(outcome(await signIn(person, codeNow(secret)))).toBe('UNAUTHENTICATED')
    const next = codeNow(secret, 1)
    const racing = await Promise.all([1, 2, 3].map(() => signIn(person, next)))
    expect(racing.map(outcome).toSorted()).toEqual(['OK', 'UNAUTHENTICATED', 'UNAUTHENTICATED'])
    const wrong = await person.gql(signInMutation, {
      input: { email: person.email, password: 'no', totpCode: codeNow(secret, 1) },
    })
    expect(outcome(wrong)).toBe('UNAUTHENTICATED')
  })

  const enrolled = async (as: Parameters<typeof asPerson>[1]): Promise<{ person: Person; secret: Buffer }> => {
    const person = await asPerson(world, as)
    const begun = await person.gql(enroll, { input: { password: person.password } })
    const secret = bytesOf(begun.data.enrollTotp.secret)
    expect(outcome(await person.gql(enroll, { input: { code: codeNow(secret) } }))).toBe('OK')
    return { person, secret }
  }
  const disable = 'mutation ($input: DisableTotpInput!) { disableTotp(input: $input) { endedSessions } }'
  const reset = 'mutation ($input: ResetTotpInput!) { resetTotp(input: $input) { endedSessions } }'

  it('is taken off by password and code, which ends the other sessions', async () => {
    const { person, secret } = await enrolled({ company: world.acme.id, role: 'OWNER' })
    clock.advance(MINUTE_MS)
    const elsewhere = Object.assign(newBrowser(world), {
      ...idOf(person),
      email: person.email,
      password: person.password,
    })
    expect(outcome(await signIn(elsewhere, codeNow(secret)))).toBe('OK')
    clock.advance(MINUTE_MS)
    const attempt = (password: string, code: string) => person.gql(disable, { input: { password, code } })
    expect(outcome(await attempt('no', codeNow(secret)))).toBe('UNAUTHENTICATED')
    expect(outcome(await attempt(person.password, '000000'))).toBe('UNAUTHENTICATED')
    expect(await whoIs(elsewhere)).toBe('UserViewer')
    expect((await attempt(person.password, codeNow(secret))).data.disableTotp.endedSessions).toBe(1)
    expect(await whoIs(elsewhere)).toBe('AnonymousViewer')
    expect(await whoIs(person)).toBe('UserViewer')
    expect(outcome(await attempt(person.password, codeNow(secret)))).toBe('CONFLICT')
    expect(outcome(await signIn(person))).toBe('OK')
    expect(outcome(await person.gql(enroll, { input: { password: person.password } }))).toBe('OK')
  })

  it('that is lost is reset by staff, which ends all sessions and is in the admin log of the company', async () => {
    const { person } = await enrolled({ company: world.acme.id, role: 'OWNER' })
    const { person: admin } = await enrolled({ staffRole: 'SUPER_ADMIN' })
    const support = await asPerson(world, { staffRole: 'SUPPORT_ADMIN' })
    const ask = (who: Person, userId: string, reason = 'called back') => who.gql(reset, { input: { userId, reason } })
    expect(outcome(await ask(support, person.gid))).toBe('FORBIDDEN')
    expect(outcome(await ask(person, person.gid))).toBe('FORBIDDEN')
    expect(outcome(await ask(admin, admin.gid))).toBe('FORBIDDEN')
    expect(outcome(await ask(admin, support.gid))).toBe('CONFLICT')
    expect(outcome(await ask(admin, person.gid, ' '))).toBe('BAD_USER_INPUT')
    expect(await whoIs(person)).toBe('UserViewer')
    expect((await ask(admin, person.gid)).data.resetTotp.endedSessions).toBe(1)
    expect(await whoIs(person)).toBe('AnonymousViewer')
    expect(outcome(await signIn(person))).toBe('OK')
    const log = await admin.gql(
      'query ($id: ID) { adminLog(companyId: $id, first: 20) { nodes { action actorId targetId payload } } }',
      { id: world.acme.gid },
    )
    expect(log.data.adminLog.nodes).toContainEqual({
      action: 'session.totp_reset',
      actorId: admin.gid,
      targetId: person.gid,
      payload: { reason: 'called back', sessions: 1 },
    })
  })

  it('is demanded of staff where REQUIRE_STAFF_TOTP is on: nothing goes but enrolling it (TOTP_REQUIRED)', async () => {
    const strict = await createWorld({ clock, config: { requireStaffTotp: true } })
    try {
      const person = await asPerson(strict, { staffRole: 'SUPER_ADMIN' })
      expect(outcome(await person.gql('{ adminLog { totalCount } }'))).toBe('TOTP_REQUIRED')
      const begun = await person.gql(enroll, { input: { password: person.password } })
      const code = codeNow(bytesOf(begun.data.enrollTotp.secret))
      expect((await person.gql(enroll, { input: { code } })).data.enrollTotp.enrolled).toBe(true)
      expect(outcome(await person.gql('{ adminLog { totalCount } }'))).toBe('OK')
    } finally {
      await strict.close()
    }
  })
})

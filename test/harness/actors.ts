import { randomUUID } from 'node:crypto'
import { hashPassword } from '../../src/auth/password.js'
import type { CompanyRole, StaffRole } from '../../src/directory/app-user.entity.js'
import { insertUser, putMember } from '../../src/directory/app-user.store.js'
import { withControl } from '../../src/directory/with-control.js'
import { encodeId, newUuid } from '../../src/kernel/ids.js'
import type { GraphqlAnswer, World } from './app.js'

/** An account of the dashboard, and a browser it may be signed in with. */
export interface Person extends Browser {
  readonly id: string
  readonly gid: string
  readonly email: string
  readonly password: string
}

/** Keeps the session cookie between requests, as a browser does. */
export interface Browser {
  cookie: string | null
  gql(query: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<GraphqlAnswer>
}

export const newBrowser = (world: World): Browser => {
  const browser: Browser = {
    cookie: null,
    async gql(query, variables = {}, headers = {}) {
      const response = await fetch(world.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(browser.cookie === null ? {} : { cookie: browser.cookie }),
          ...headers,
        },
        body: JSON.stringify({ query, variables }),
      })
      for (const line of response.headers.getSetCookie()) {
        const pair = line.split(';')[0]!
        browser.cookie = pair.endsWith('=') ? null : pair
      }
      const { data, errors } = (await response.json()) as Pick<GraphqlAnswer, 'data' | 'errors'>
      return { status: response.status, headers: response.headers, data, errors }
    },
  }
  return browser
}

const password = 'correct horse battery staple'
// Hashing is slow on purpose; one hash does for everybody.
let passwordHash: Promise<string> | undefined

/** Makes an account, of a company or of the staff, not signed in. */
export async function makePerson(
  world: World,
  as: {
    readonly company?: string
    readonly role?: CompanyRole
    readonly staffRole?: StaffRole
    readonly workspaces?: readonly string[]
  },
): Promise<Person> {
  passwordHash ??= hashPassword(password)
  const now = new Date()
  const id = newUuid()
  const email = `${randomUUID()}@people.example`
  const user = {
    id,
    email,
    name: 'Somebody',
    passwordHash: await passwordHash,
    staffRole: as.staffRole ?? null,
    createdAt: now,
  }
  await withControl(world.app.control, async (em) => {
    await insertUser(em, user)
    if (as.company !== undefined && as.role !== undefined)
      await putMember(em, { companyId: as.company, userId: id, role: as.role, createdAt: now })
  })
  for (const workspaceId of as.workspaces ?? [])
    await world.app.control.query(
      'insert into workspace_member (company_id, workspace_id, user_id, created_at) values ($1, $2, $3, $4)',
      [as.company, workspaceId, id, now],
    )
  // Not a spread: the cookie is the browser's own state.
  return Object.assign(newBrowser(world), { id, gid: encodeId('user', id), email, password })
}

export const signInMutation =
  'mutation ($input: SignInInput!) { signIn(input: $input) { user { id email } expiresAt } }'

/** Signs somebody in; answers what the service answered. */
export const signIn = (person: Person, totpCode?: string): Promise<GraphqlAnswer> =>
  person.gql(signInMutation, { input: { email: person.email, password: person.password, totpCode: totpCode ?? null } })

/** An account, signed in. */
export async function asPerson(world: World, as: Parameters<typeof makePerson>[1]): Promise<Person> {
  const person = await makePerson(world, as)
  const answer = await signIn(person)
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  return person
}

/** The code of an answer's first error, or 'OK'. */
export const outcome = (answer: GraphqlAnswer): string => answer.errors?.[0]?.extensions.code ?? 'OK'

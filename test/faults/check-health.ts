import type { Region } from '../../src/kernel/region.js'
import type { Staff } from './tenants.js'

interface RegionHealth {
  readonly region: Region
  readonly pendingWrites: number
  readonly deadLetters: number
}
interface Answer {
  readonly data?: unknown
  readonly errors?: readonly { readonly message: string }[]
}

async function ask(
  origin: string,
  cookie: string,
  query: string,
  variables: object = {},
): Promise<{ readonly data: unknown; readonly cookies: readonly string[] }> {
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', cookie },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = (await response.json()) as Answer
  if (errors !== undefined || data === undefined || data === null)
    throw new Error(`The operator was answered: ${errors?.[0]?.message ?? response.status}`)
  return { data, cookies: response.headers.getSetCookie() }
}

/** What an operator sees once everything is healed: nothing waits for any region, and nothing was set aside. */
export async function checkHealth(origin: string, staff: Staff): Promise<string[]> {
  const { cookies } = await ask(origin, '', 'mutation ($input: SignInInput!) { signIn(input: $input) { expiresAt } }', {
    input: staff,
  })
  const cookie = cookies.map((line) => line.split(';')[0]!).join('; ')
  const { data } = await ask(origin, cookie, '{ regionHealth { region pendingWrites deadLetters } }')
  return (data as { readonly regionHealth: readonly RegionHealth[] }).regionHealth
    .filter(({ pendingWrites, deadLetters }) => pendingWrites + deadLetters > 0)
    .map(
      ({ region, pendingWrites, deadLetters }) =>
        `regionHealth tells of ${pendingWrites} pending writes and ${deadLetters} dead letters of ${region}`,
    )
}

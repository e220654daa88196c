import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

/** What came of a request: an answer of the API, or how the transport failed. */
export type PostOutcome<Data> =
  | { readonly kind: 'answer'; readonly data: Data | null; readonly code: string | null; readonly message: string }
  | { readonly kind: 'failure'; readonly code: string }

interface Answer<Data> {
  readonly data?: Data | null
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
}

/** Sends a GraphQL request. Never rejects; after `timeoutMs` it stops waiting, whatever the service goes on doing. */
export function postGraphql<Data>(
  origin: string,
  headers: Readonly<Record<string, string>>,
  body: { readonly query: string; readonly variables: Readonly<Record<string, unknown>> },
  timeoutMs: number,
): Promise<PostOutcome<Data>> {
  return new Promise((resolve) => {
    const text = JSON.stringify(body)
    const fail = (code: string): void => resolve({ kind: 'failure', code })
    const sent = request(
      `${origin}/graphql`,
      {
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers },
      },
      (response) => {
        let received = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (received += chunk))
        response.on('error', () => fail('CONNECTION'))
        response.on('end', () => {
          clearTimeout(timer)
          resolve(parseAnswer<Data>(response.statusCode ?? 0, received))
        })
      },
    )
    const timer = setTimeout(() => {
      fail('TIMEOUT')
      sent.destroy()
    }, timeoutMs)
    sent.on('error', () => {
      clearTimeout(timer)
      fail('CONNECTION')
    })
    sent.end(text)
  })
}

function parseAnswer<Data>(status: number, text: string): PostOutcome<Data> {
  try {
    const { data, errors } = JSON.parse(text) as Answer<Data>
    const error = errors?.[0]
    if (error === undefined && data === undefined) return { kind: 'failure', code: `HTTP_${status}` }
    const code = error === undefined ? null : (error.extensions?.code ?? `HTTP_${status}`)
    return { kind: 'answer', data: data ?? null, code, message: error?.message ?? '' }
  } catch {
    return { kind: 'failure', code: `HTTP_${status}` }
  }
}

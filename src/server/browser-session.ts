import type { FastifyReply, FastifyRequest } from 'fastify'
import { isTrustedProxy } from '../auth/ip-address.js'
import type { SessionIdentity } from '../auth/session.js'
import { isOwnOrigin } from '../auth/session-origin.js'
import { anonymous, type Viewer } from '../auth/viewer.js'
import type { BrowserExchange } from '../graphql/context.js'
import { DomainError } from '../kernel/domain-error.js'

/** What dashboard sessions take of the HTTP server. */
export interface SessionOptions {
  /** Origins of other dashboards than our own that may use session cookies, such as `https://console.example`. */
  readonly allowedOrigins: readonly string[]
  readonly authenticateSession: (token: string) => Promise<SessionIdentity>
}

const COOKIE = 'hyrelog_session'
/** Over TLS, a name that browsers take from this host alone, for every path, and Secure only. */
const SECURE_COOKIE = `__Host-${COOKIE}`

const oneHeader = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value

/** Whether the request came over TLS: to us, or to a proxy we trust that says so. */
function isSecure(request: FastifyRequest, trustedProxies: readonly string[]): boolean {
  if (request.protocol === 'https') return true
  const forwarded = oneHeader(request.headers['x-forwarded-proto'])
  if (forwarded === undefined || !isTrustedProxy(request.socket.remoteAddress, trustedProxies)) return false
  // The proxy nearest to us stands last.
  return forwarded.split(',').at(-1)?.trim() === 'https'
}

const foreignOrigin = (): DomainError =>
  new DomainError('FORBIDDEN', 'A page of another origin may not use the session: see ALLOWED_ORIGINS.')

/** The session cookie of one exchange: what the browser sent, and what it is to keep. */
export function browserExchange(
  request: FastifyRequest,
  reply: FastifyReply,
  clientIp: string | null,
  options: { readonly trustedProxies: readonly string[]; readonly allowedOrigins: readonly string[] },
): BrowserExchange {
  const secure = isSecure(request, options.trustedProxies)
  const name = secure ? SECURE_COOKIE : COOKIE
  const attributes = { path: '/', httpOnly: true, sameSite: 'lax', secure } as const
  const { headers } = request
  return {
    clientIp,
    sessionToken: request.cookies[name] ?? null,
    requireOwnOrigin() {
      const fetchSite = oneHeader(headers['sec-fetch-site'])
      const origin = { origin: headers.origin, fetchSite, host: headers.host ?? '', secure }
      if (!isOwnOrigin(origin, options.allowedOrigins)) throw foreignOrigin()
    },
    setSession: (token, expiresAt) => void reply.setCookie(name, token, { ...attributes, expires: expiresAt }),
    clearSession: () => void reply.clearCookie(name, attributes),
  }
}

/** Who a session cookie stands for; nobody where a page of another origin sent it. */
export async function identifyBrowser(
  options: SessionOptions,
  browser: BrowserExchange,
  token: string,
): Promise<Viewer> {
  try {
    browser.requireOwnOrigin()
  } catch (error) {
    if (error instanceof DomainError) return anonymous(error)
    throw error
  }
  const { viewer, renewed } = await options.authenticateSession(token)
  if (renewed !== null) browser.setSession(renewed.token, renewed.expiresAt)
  return viewer
}

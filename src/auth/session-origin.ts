/** What a browser says of where a request came from. */
export interface RequestOrigin {
  /** Header Origin. */
  readonly origin: string | undefined
  /** Header Sec-Fetch-Site. */
  readonly fetchSite: string | undefined
  /** Header Host. */
  readonly host: string
  /** The request came over TLS, to us or to a proxy we trust. */
  readonly secure: boolean
}

/**
 * Whether a request that a session cookie came with was made by our own pages, or those of `allowedOrigins`. A browser
 * says Origin with every POST, so what has neither Origin nor Sec-Fetch-Site is no browser, and nobody can be tricked
 * into sending it. `Sec-Fetch-Site: none` is an address typed by hand.
 */
export function isOwnOrigin(request: RequestOrigin, allowedOrigins: readonly string[]): boolean {
  const { origin, fetchSite, host, secure } = request
  if (origin === undefined) return fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none'
  if (allowedOrigins.includes(origin)) return true
  if (!URL.canParse(origin)) return false
  const { protocol, host: originHost } = new URL(origin)
  const base = `${protocol}//${host}`
  if (!URL.canParse(base) || (protocol !== 'https:' && (secure || protocol !== 'http:'))) return false
  return new URL(base).host === originHost
}

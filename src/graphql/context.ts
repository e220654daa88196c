import type { InputFault } from '../kernel/domain-error.js'
import type { Viewer } from '../auth/viewer.js'
import type { DirectoryLoaders } from '../directory/directory-loaders.js'

/** The browser's side of a request: its session cookie, and where it came from. */
export interface BrowserExchange {
  /** The client's address; null where it can't be made out. */
  readonly clientIp: string | null
  /** The session cookie that came with the request, whether it counts or not. */
  readonly sessionToken: string | null
  /** FORBIDDEN where a page of another origin made the request. */
  requireOwnOrigin(this: void): void
  /** Makes the browser keep a session; it goes out with the answer. */
  setSession(this: void, token: string, expiresAt: Date): void
  /** Makes the browser forget its session. */
  clearSession(this: void): void
}

/** What one GraphQL request carries. Services are not in here: resolvers are built with what they need. */
export interface GraphqlContext {
  readonly requestId: string
  /** Who is calling; nobody where the credentials were refused. */
  readonly viewer: Viewer
  readonly browser: BrowserExchange
  /** One batch of look-ups per kind of thing, alive as long as the request. */
  readonly loaders: DirectoryLoaders
  /**
   * What the request's text holds that parsing hides: duplicate members and numbers no double can hold. Paths begin at
   * the body's root (`variables.input.payload.x`). Scanned when first asked for.
   */
  textFaults(): readonly InputFault[]
  /** Aborted when the client goes away before it has its answer: work that only it waits for can stop. */
  clientGone(): AbortSignal
  /** Things that features make once per request. Use {@link oncePerRequest}. */
  readonly made: Map<unknown, unknown>
}

/** The thing that `make` makes for this request: made at the first call, the same one afterwards. `key` names it. */
export function oncePerRequest<T>(context: GraphqlContext, key: object, make: () => T): T {
  if (!context.made.has(key)) context.made.set(key, make())
  return context.made.get(key) as T
}

/** A thing that another one refers to, and which therefore exists. */
export function present<T>(thing: T | null): T {
  if (thing === null) throw new Error('A reference leads nowhere.')
  return thing
}

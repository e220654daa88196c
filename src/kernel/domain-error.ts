/** Every code a client can meet in `extensions.code`. Closed on purpose: a new code is a change of the API. */
export type DomainErrorCode =
  | 'BAD_USER_INPUT'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'INVALID_TRANSITION'
  | 'IDEMPOTENCY_CONFLICT'
  | 'SELF_APPROVAL'
  | 'LEGAL_HOLD'
  | 'WORKSPACE_ARCHIVED'
  | 'RESTORE_REQUIRED'
  | 'TOTP_REQUIRED'
  | 'QUERY_TOO_COMPLEX'
  | 'RATE_LIMITED'
  | 'REGION_UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'

/** One thing wrong with an input: `field` is a path such as `events[3].actor.email`. */
export interface InputFault {
  readonly field: string
  readonly message: string
}

/** What travels in `extensions` beside the code. Only these members ever leave the process. */
export interface DomainErrorDetails {
  readonly field?: string
  readonly faults?: readonly InputFault[]
  readonly regions?: readonly string[]
  readonly retryAfterMs?: number
  readonly archiveObjectIds?: readonly string[]
}

/**
 * The one error class whose message a client may read. The message never holds personal data, SQL, a URL or a stack;
 * what an operator needs goes into `cause`, which is logged and never answered.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: DomainErrorCode
  readonly details: DomainErrorDetails

  constructor(code: DomainErrorCode, message: string, options: { details?: DomainErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }
}

/** A `BAD_USER_INPUT` about one field. */
export const badInput = (field: string, message: string): DomainError =>
  new DomainError('BAD_USER_INPUT', `${field}: ${message}`, { details: { field, faults: [{ field, message }] } })

/** The one answer for what is absent and for what belongs to another tenant. */
export const notFound = (what: string): DomainError => new DomainError('NOT_FOUND', `${what} not found.`)

/** A `REGION_UNAVAILABLE` about one region. */
export const regionUnavailable = (region: string, cause?: unknown): DomainError =>
  new DomainError('REGION_UNAVAILABLE', `Region ${region} does not answer now.`, {
    details: { regions: [region] },
    cause,
  })

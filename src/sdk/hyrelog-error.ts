/** One thing wrong with an input: `field` is a path such as `events[3].actor.email`. */
export interface HyreLogFault {
  readonly field: string
  readonly message: string
}

export interface HyreLogErrorDetails {
  readonly field?: string | undefined
  readonly faults?: readonly HyreLogFault[] | undefined
  readonly retryAfterMs?: number | undefined
  readonly regions?: readonly string[] | undefined
  readonly archiveObjectIds?: readonly string[] | undefined
  readonly requestId?: string | undefined
  readonly status?: number | undefined
  readonly cause?: unknown
}

/**
 * Whatever went wrong with a request. `code` is the service's (`BAD_USER_INPUT`, `RATE_LIMITED`, `REGION_UNAVAILABLE` …)
 * or one of the client's own: `NETWORK_ERROR` (no answer, or one from something between), `HTTP_ERROR` (an answer that
 * is not GraphQL), `INCOMPLETE_PAGE` (see `iterateGlobalEvents`).
 */
export class HyreLogError extends Error {
  override readonly name = 'HyreLogError'
  readonly code: string
  /** The first input field at fault, as a path. */
  readonly field: string | undefined
  /** Every input field at fault (the service reports up to 100). */
  readonly faults: readonly HyreLogFault[]
  /** How long the service asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined
  /** The regions concerned. */
  readonly regions: readonly string[]
  /** Of RESTORE_REQUIRED: the cold archive objects to restore first. */
  readonly archiveObjectIds: readonly string[]
  /** What the service's operator can find the request by. */
  readonly requestId: string | undefined
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined

  constructor(code: string, message: string, details: HyreLogErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.field = details.field
    this.faults = details.faults ?? []
    this.retryAfterMs = details.retryAfterMs
    this.regions = details.regions ?? []
    this.archiveObjectIds = details.archiveObjectIds ?? []
    this.requestId = details.requestId
    this.status = details.status
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function faultsOf(value: unknown): readonly HyreLogFault[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((item: unknown) =>
    isRecord(item) && typeof item['field'] === 'string' && typeof item['message'] === 'string'
      ? [{ field: item['field'], message: item['message'] }]
      : [],
  )
}

const extensionsOf = (error: unknown): Record<string, unknown> =>
  isRecord(error) && isRecord(error['extensions']) ? error['extensions'] : {}

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : []

/** The error that a GraphQL answer's `errors` stand for: the first, with the faults of all. Total over any JSON. */
export function errorOfAnswer(errors: readonly unknown[], status: number): HyreLogError {
  const first = errors[0]
  const extensions = extensionsOf(first)
  const text = (name: string): string | undefined => {
    const value = extensions[name]
    return typeof value === 'string' ? value : undefined
  }
  const message =
    isRecord(first) && typeof first['message'] === 'string' ? first['message'] : 'The service reported an error.'
  const retryAfterMs = extensions['retryAfterMs']
  return new HyreLogError(text('code') ?? 'INTERNAL_SERVER_ERROR', message, {
    field: text('field'),
    faults: errors.flatMap((error) => faultsOf(extensionsOf(error)['faults'])),
    retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
    regions: textsOf(extensions['regions']),
    archiveObjectIds: textsOf(extensions['archiveObjectIds']),
    requestId: text('requestId'),
    status,
  })
}

export type DatabaseErrorKind =
  | 'unreachable'
  | 'timeout'
  | 'starting'
  | 'too_many_connections'
  | 'unique_violation'
  | 'append_only'
  | 'denied'
  | 'unwritable'
  | 'serialization'
  | 'aborted'
  | 'other'

/** What a caller can know about a failure without reading PostgreSQL's manual. */
export interface DatabaseErrorDetails {
  /** SQLSTATE, or the operating system's code of a broken connection. */
  readonly code?: string | undefined
  readonly constraint?: string | undefined
  /** True when a COMMIT was sent and its answer never came: the transaction may have happened. */
  readonly commitUnknown?: boolean
}

/**
 * Whatever goes wrong between us and a database. The message names the database and the kind of failure, never values:
 * PostgreSQL's own texts quote what was written (`Key (email)=(…) already exists`), so they are not carried along.
 */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: string | undefined
  readonly constraint: string | undefined
  readonly commitUnknown: boolean

  constructor(
    readonly database: string,
    readonly kind: DatabaseErrorKind,
    explanation: string,
    details: DatabaseErrorDetails = {},
  ) {
    super(`${database}: ${explanation}`)
    this.code = details.code
    this.constraint = details.constraint
    this.commitUnknown = details.commitUnknown ?? false
  }

  /** Nobody answered, or nobody answered in time: another attempt, later or elsewhere, may succeed. */
  get unavailable(): boolean {
    return (
      this.kind === 'unreachable' ||
      this.kind === 'timeout' ||
      this.kind === 'starting' ||
      this.kind === 'too_many_connections'
    )
  }

  /** It answers or not, but it takes no writes now: its disk is full, say. */
  get refusesWrites(): boolean {
    return this.unavailable || this.kind === 'unwritable'
  }

  /** The same failure, seen after a COMMIT had been sent. */
  afterCommit(): DatabaseError {
    return new DatabaseError(this.database, this.kind, 'the connection was lost during COMMIT', {
      code: this.code,
      constraint: this.constraint,
      commitUnknown: true,
    })
  }
}

const kindOfCode: Readonly<Record<string, DatabaseErrorKind>> = {
  '23505': 'unique_violation',
  '40001': 'serialization',
  '40P01': 'serialization',
  '42501': 'denied',
  // A standby, or read-only for now.
  '25006': 'unwritable',
  '53300': 'too_many_connections',
  '53400': 'too_many_connections',
  '55P03': 'timeout',
  '57014': 'timeout',
  '57P01': 'unreachable',
  '57P02': 'unreachable',
  '57P03': 'starting',
  // A statement that was sent behind one that failed was never prepared, and the next user of the connection, being just
  // as quick, has believed it was. Nothing was done, and a fresh connection does it.
  '26000': 'unreachable',
  '25P02': 'aborted',
  '25P03': 'timeout',
  '25P04': 'timeout',
  '57P05': 'unreachable',
  HY001: 'append_only',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  ECONNABORTED: 'unreachable',
  EPIPE: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  ETIMEDOUT: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
}

// pg reports these as bare errors; the texts are its own and hold no data.
const unreachableTexts = [
  'Connection terminated',
  'Client has encountered a connection error',
  'Client was closed',
  'Cannot use a pool after calling end',
  'timeout expired',
]
const timeoutTexts = ['Query read timeout', 'timeout exceeded when trying to connect']

function kindOf(code: string | undefined, message: string): DatabaseErrorKind {
  if (code !== undefined) {
    const kind = kindOfCode[code]
    if (kind !== undefined) return kind
    // Class 08 is connection exceptions; class 28, a refused login, makes a database as useless to us as a dead one.
    if (code.startsWith('08') || code.startsWith('28')) return 'unreachable'
    // Class 53 is a lack of room or memory, 58 trouble of the system below, such as a broken disk.
    if (code.startsWith('53') || code.startsWith('58')) return 'unwritable'
  }
  if (unreachableTexts.some((text) => message.startsWith(text))) return 'unreachable'
  if (timeoutTexts.some((text) => message.startsWith(text))) return 'timeout'
  return 'other'
}

const isSqlState = (code: string | undefined): boolean => code !== undefined && /^[0-9A-Z]{5}$/.test(code)

function explain(kind: DatabaseErrorKind, code: string | undefined, message: string): string {
  const suffix = code === undefined ? '' : ` (${code})`
  // Classes 22 and 23 quote the data they complain about, P0 what a function chose to say.
  if (kind === 'other' && (code === undefined || !/^(22|23|P0)/.test(code))) return `${message}${suffix}`
  return `${kind.replaceAll('_', ' ')}${suffix}`
}

/** Any error of pg or MikroORM as a {@link DatabaseError} of the database `name`. Our own errors pass unchanged. */
export function toDatabaseError(error: unknown, name: string): DatabaseError {
  if (error instanceof DatabaseError) return error
  const source = error as { code?: unknown; constraint?: unknown; message?: unknown; errors?: unknown }
  // A host with several addresses fails with an AggregateError, whose code is that of the attempts.
  const code = typeof source.code === 'string' ? source.code : undefined
  const message = typeof source.message === 'string' ? source.message : 'unknown failure'
  const kind = kindOf(code, message)
  return new DatabaseError(name, kind, explain(kind, code, message), {
    code,
    constraint: typeof source.constraint === 'string' ? source.constraint : undefined,
  })
}

/**
 * True where the connection an error came from must not be used again: nothing came from the server, or the server said
 * goodbye, or what it prepared no longer fits the schema.
 */
export function breaksConnection(error: DatabaseError): boolean {
  if (!isSqlState(error.code)) return true
  return /^(08|57P|26000|0A000|25P03|25P04)/.test(error.code!)
}

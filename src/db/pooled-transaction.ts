import { types, type Pool, type PoolClient, type QueryResult } from 'pg'
import { breaksConnection, DatabaseError, toDatabaseError } from './database-error.js'
import type { TextRow } from './text-row.js'

export interface Transaction {
  /**
   * One statement; prepared once per connection under `name` when given. Rows as objects: bigint as text, timestamptz
   * as Date, bytea as Buffer. Statements may be sent without awaiting the one before; they run in the order of calls,
   * and one left unawaited still fails the transaction.
   */
  query<Row extends object>(sql: string, values?: readonly unknown[], name?: string): Promise<Row[]>
}

/** A transaction on a connection of ours. */
export interface DirectTransaction extends Transaction {
  /**
   * The only or last statement of a transaction that reads; its end travels with it. Nothing is decoded, for who looks at
   * more rows than it needs.
   */
  lastTexts(sql: string, values: readonly unknown[], name: string): Promise<TextRow[]>
}

export interface TransactionOptions {
  /** Tenants whose rows the transaction may see and write (sets app.companies locally). Region databases only. */
  readonly companies?: readonly string[]
  /** `replica`: table names mean the region's copies of other regions' chains, where there are such tables. */
  readonly schema?: 'replica'
  readonly readOnly?: boolean
  /** 'primary' (default) or the region's read-only URL. */
  readonly from?: 'primary' | 'readOnly'
  /** Named statements are planned once per connection for any values, and not again for those of each run. */
  readonly genericPlans?: boolean
  /** Whole transaction, waiting for a connection included. The connection is destroyed when it is exceeded. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
// The server gives up a little before we do, so that a slow statement costs an error and not a connection.
const serverHeadStartMs = 50
const headStartFromMs = 500

/** MikroORM keeps dates as text on the connections it shares with us; here they are Dates. */
const nativeTypes = { getTypeParser: types.getTypeParser }
const asText = (text: string): string => text
const noTypes = { getTypeParser: () => asText }

/** Runs one statement on a client with pg's own type parsers. */
export function runStatement(
  client: PoolClient,
  sql: string,
  values: readonly unknown[] | undefined,
  name: string | undefined,
): Promise<QueryResult> {
  return client.query({
    text: sql,
    types: nativeTypes,
    ...(values === undefined ? {} : { values: values as unknown[] }),
    ...(name === undefined ? {} : { name }),
  })
}

/** {@link runStatement} without any parsing: rows are arrays of texts. */
const runUndecoded = (
  client: PoolClient,
  sql: string,
  values: readonly unknown[],
  name: string,
): Promise<QueryResult> =>
  client.query({ text: sql, types: noTypes, rowMode: 'array', values: values as unknown[], name })

/** Ends a connection that may have statements in flight on a server that doesn't answer. */
export function destroyClient(client: PoolClient): void {
  // end() waits for what is in flight, which on a stopped server is for ever.
  client.connection.stream.destroy()
  client.release(true)
}

/** By then a client that is alive has ended the transaction itself. */
const idleGraceMs = 500

function beginStatement(options: TransactionOptions, remainingMs: number): string {
  let sql = options.readOnly === true ? 'begin read only' : 'begin'
  const serverMs = remainingMs >= headStartFromMs ? remainingMs - serverHeadStartMs : remainingMs
  sql += `; set local statement_timeout = ${Math.max(1, Math.floor(serverMs))}`
  // A client that vanished without a word would leave its locks behind for as long as TCP believes in it.
  sql += `; set local idle_in_transaction_session_timeout = ${Math.max(1, Math.ceil(remainingMs)) + idleGraceMs}`
  // Before the default, which finds what has no copies. No SELECT: who sets an isolation level must come before any.
  if (options.schema !== undefined) sql += `; set local search_path = ${options.schema}, "$user", public`
  if (options.genericPlans === true) sql += '; set local plan_cache_mode = force_generic_plan'
  if (options.companies !== undefined) {
    // The list becomes part of the statement: nothing but UUIDs may get there.
    for (const company of options.companies)
      if (!uuid.test(company)) throw new TypeError('A company id is not a lower-case UUID.')
    sql += `; set local app.companies = '${options.companies.join(',')}'`
  }
  return sql
}

/**
 * One transaction on one pooled, pipelining connection. BEGIN and the tenant setting travel with the first statement;
 * the COMMIT of a read is not waited for; whatever is in flight when the time is up is abandoned with its connection.
 */
export class PooledTransaction implements DirectTransaction {
  readonly #name: string
  readonly #pool: Pool
  readonly #options: TransactionOptions
  readonly #deadline: number
  #client: PoolClient | undefined
  #state: 'open' | 'committing' | 'over' = 'open'
  #begun = false
  /** Its end has been sent. */
  #ended = false
  #failure: DatabaseError | undefined
  #reject: (error: DatabaseError) => void = () => undefined

  constructor(name: string, pool: Pool, options: TransactionOptions, deadline: number) {
    this.#name = name
    this.#pool = pool
    this.#options = options
    this.#deadline = deadline
  }

  async execute<T>(work: (tx: DirectTransaction) => Promise<T>): Promise<T> {
    const { signal } = this.#options
    const given = new Promise<never>((_, reject) => {
      this.#reject = reject
    })
    const timer = setTimeout(
      () => this.#abandon(new DatabaseError(this.#name, 'timeout', 'no answer in time')),
      Math.max(0, this.#deadline - performance.now()),
    )
    const onAbort = (): void => {
      // What was sent as COMMIT can't be called back; its answer is worth waiting for.
      if (this.#state === 'open') this.#abandon(new DatabaseError(this.#name, 'aborted', 'aborted by the caller'))
    }
    if (signal?.aborted === true) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([given, this.#run(work)])
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  query<Row extends object>(sql: string, values?: readonly unknown[], name?: string): Promise<Row[]> {
    return this.#send<Row>((client) => runStatement(client, sql, values, this.#named(name)))
  }

  lastTexts(sql: string, values: readonly unknown[], name: string): Promise<TextRow[]> {
    if (this.#options.readOnly !== true)
      throw new TypeError('A transaction that writes hears the answer to its COMMIT.')
    return this.#send<TextRow>((client) => {
      const sent = runUndecoded(client, sql, values, this.#named(name)!)
      this.#ended = true
      client.query('commit').catch(() => undefined)
      return sent
    })
  }

  /** A statement of one name is prepared for one search path: on the other it would be planned anew each time. */
  #named(name: string | undefined): string | undefined {
    const { schema } = this.#options
    return name === undefined || schema === undefined ? name : `${schema}.${name}`
  }

  #send<Row>(run: (client: PoolClient) => Promise<QueryResult>): Promise<Row[]> {
    const client = this.#client
    if (this.#state !== 'open' || this.#ended || client === undefined)
      return Promise.reject(this.#failure ?? new DatabaseError(this.#name, 'other', 'the transaction is over'))
    const { stream } = client.connection
    let sent: Promise<QueryResult>
    stream.cork()
    try {
      if (!this.#begun) {
        const begin = beginStatement(this.#options, this.#deadline - performance.now())
        this.#begun = true
        client.query(begin).catch((error: unknown) => this.#note(error))
      }
      sent = run(client)
    } finally {
      stream.uncork()
    }
    const rows = sent.then(
      (result) => result.rows as Row[],
      (error: unknown) => {
        throw this.#note(error)
      },
    )
    // An unawaited failure is reported by the end of the transaction, not as an unhandled rejection.
    rows.catch(() => undefined)
    return rows
  }

  #note(error: unknown): DatabaseError {
    const failure = this.#failure ?? toDatabaseError(error, this.#name)
    this.#failure = failure
    return failure
  }

  #abandon(reason: DatabaseError): void {
    if (this.#state === 'over') return
    const failure =
      this.#state === 'committing'
        ? new DatabaseError(this.#name, reason.kind, 'no answer to COMMIT', { commitUnknown: true })
        : reason
    this.#failure = failure
    this.#release(true)
    this.#reject(failure)
  }

  #release(destroy: boolean): void {
    const client = this.#client
    this.#state = 'over'
    this.#client = undefined
    if (client === undefined) return
    if (destroy) destroyClient(client)
    else client.release()
  }

  async #acquire(): Promise<void> {
    let client: PoolClient
    try {
      client = await this.#pool.connect()
    } catch (error) {
      this.#state = 'over'
      throw this.#note(error)
    }
    if (this.#failure !== undefined) {
      // The time was up while we waited; the connection itself is fine.
      client.release()
      throw this.#failure
    }
    this.#client = client
  }

  async #run<T>(work: (tx: DirectTransaction) => Promise<T>): Promise<T> {
    await this.#acquire()
    let result: T
    try {
      result = await work(this)
    } catch (error) {
      this.#finish('rollback')
      throw error
    }
    if (this.#client === undefined)
      throw this.#failure ?? new DatabaseError(this.#name, 'other', 'the transaction is over')
    if (this.#options.readOnly === true || !this.#begun) {
      this.#finish('commit')
      return result
    }
    await this.#commit(this.#client)
    return result
  }

  /** Sends the last word without waiting for its answer: the next user of the connection queues behind it. */
  #finish(last: 'commit' | 'rollback'): void {
    const client = this.#client
    if (client === undefined) return
    const broken = this.#failure !== undefined && breaksConnection(this.#failure)
    // A failing COMMIT of a read has nothing to lose; the pool hears of a dead connection by itself.
    if (this.#begun && !this.#ended && !broken) client.query(last).catch(() => undefined)
    this.#release(broken)
  }

  async #commit(client: PoolClient): Promise<void> {
    this.#state = 'committing'
    let command: string
    try {
      command = (await client.query('commit')).command
    } catch (error) {
      // A statement sent just before may have died with the connection; what counts is that COMMIT went unanswered.
      const failure = toDatabaseError(error, this.#name)
      const lost = breaksConnection(failure)
      const outcome = lost ? failure.afterCommit() : (this.#failure ?? failure)
      if (this.#client === undefined) throw this.#failure ?? outcome
      this.#failure = outcome
      this.#release(lost)
      throw outcome
    }
    const failure = this.#failure
    this.#release(failure !== undefined && breaksConnection(failure))
    // PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK and no error.
    if (command !== 'COMMIT') throw failure ?? new DatabaseError(this.#name, 'aborted', 'rolled back')
    if (failure !== undefined && failure.commitUnknown) throw failure
  }
}

import type { EntitySchema } from '@mikro-orm/core'
import { MikroORM, type SqlEntityManager } from '@mikro-orm/postgresql'
import { Pool, type PoolClient, type PoolConfig } from 'pg'
import { breaksConnection, DatabaseError, toDatabaseError } from './database-error.js'
import {
  destroyClient,
  PooledTransaction,
  runStatement,
  type DirectTransaction,
  type TransactionOptions,
} from './pooled-transaction.js'

export type { DirectTransaction, Transaction, TransactionOptions } from './pooled-transaction.js'

export interface DatabaseOptions {
  /** How messages and logs call it: CONTROL, or the region. */
  readonly name: string
  readonly url: string
  readonly readOnlyUrl?: string | undefined
  readonly poolMax?: number
  readonly entities?: readonly EntitySchema[]
  /** While it says true, nothing is sent to the primary: its tables may be missing. */
  readonly heldBack?: () => boolean
}

export interface QueryOptions {
  /** Prepares the statement once per connection under this name. */
  readonly name?: string
  readonly timeoutMs?: number
  readonly from?: 'primary' | 'readOnly'
}

const poolMaxDefault = 10
const queryTimeoutMsDefault = 10_000
// A stopped server accepts connections and says nothing: give the place in the pool back before long.
const connectTimeoutMs = 5_000
const idleTimeoutMs = 60_000
const readStatement = /^\s*select\b/i

/** The URL with its port written out, as MikroORM takes a missing one for 0. */
function withPort(url: string): string {
  const parsed = new URL(url)
  if (parsed.port === '') parsed.port = '5432'
  return parsed.href
}

function poolOptions(options: DatabaseOptions, url: string): PoolConfig {
  return {
    connectionString: withPort(url),
    application_name: 'hyrelog',
    max: options.poolMax ?? poolMaxDefault,
    min: 0,
    idleTimeoutMillis: idleTimeoutMs,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    pipeline: true,
  }
}

// pg reports the end of an idle or checked-out connection as an event; unheard, it would end the process.
function hearErrors(pool: Pool): void {
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
}

/** One PostgreSQL database: a pool for statements of our own, MikroORM over the same pool for entities. */
export class Database {
  readonly name: string
  readonly hasReadOnly: boolean
  readonly #orm: MikroORM
  readonly #pool: Pool
  readonly #readOnlyPool: Pool | undefined
  readonly #heldBack: () => boolean
  #inFlight = 0
  #closing = false
  #onIdle: () => void = () => undefined

  private constructor(options: DatabaseOptions) {
    this.name = options.name
    this.hasReadOnly = options.readOnlyUrl !== undefined
    this.#heldBack = options.heldBack ?? (() => false)
    const created = openOrm(options)
    this.#orm = created.orm
    this.#pool = created.pool
    if (options.readOnlyUrl !== undefined) {
      this.#readOnlyPool = new Pool(poolOptions(options, options.readOnlyUrl))
      hearErrors(this.#readOnlyPool)
    }
  }

  /** No I/O: the first connection is made by the first statement. */
  static open(options: DatabaseOptions): Database {
    return new Database(options)
  }

  /** A fresh entity manager. Its errors are MikroORM's; `toDatabaseError` translates them. */
  em(): SqlEntityManager {
    return this.#orm.em.fork()
  }

  /**
   * One statement in autocommit (control database; or region tables without tenancy). A SELECT whose connection turned
   * out to be dead is repeated once. Throws {@link DatabaseError}.
   */
  async query<Row extends object>(
    sql: string,
    values?: readonly unknown[],
    options: QueryOptions = {},
  ): Promise<Row[]> {
    const deadline = performance.now() + (options.timeoutMs ?? queryTimeoutMsDefault)
    return this.#counted(async () => {
      const pool = this.#poolFor(options.from)
      try {
        return await this.#autocommit<Row>(pool, sql, values, options.name, deadline)
      } catch (error) {
        if (!readStatement.test(sql) || !isDeadConnection(error)) throw error
        return await this.#autocommit<Row>(pool, sql, values, options.name, deadline)
      }
    })
  }

  /**
   * Runs `work` in a transaction and commits it; rolls back what throws. A read-only transaction whose connection turned
   * out to be dead is run once more, so `work` must then be repeatable. Errors of the database are
   * {@link DatabaseError}s; `commitUnknown` tells that a COMMIT was sent and its answer never came.
   */
  async transaction<T>(options: TransactionOptions, work: (tx: DirectTransaction) => Promise<T>): Promise<T> {
    const deadline = performance.now() + options.timeoutMs
    return this.#counted(async () => {
      const pool = this.#poolFor(options.from)
      try {
        return await new PooledTransaction(this.name, pool, options, deadline).execute(work)
      } catch (error) {
        if (options.readOnly !== true || !isDeadConnection(error)) throw error
        return await new PooledTransaction(this.name, pool, options, deadline).execute(work)
      }
    })
  }

  /** Admits nothing more, waits for what runs, then ends the connections; after `timeoutMs` it stops waiting. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    const late = AbortSignal.timeout(timeoutMs)
    const expired = new Promise<void>((resolve) => {
      late.addEventListener('abort', () => resolve(), { once: true })
    })
    if (this.#inFlight > 0)
      await Promise.race([
        expired,
        new Promise<void>((resolve) => {
          this.#onIdle = resolve
        }),
      ])
    await Promise.race([expired, Promise.allSettled([this.#closeOrm(), this.#readOnlyPool?.end()])])
  }

  /** MikroORM leaves the pool alone where no query went through it; its connections would stay till they idle out. */
  async #closeOrm(): Promise<void> {
    await this.#orm.close(true)
    if (!this.#pool.ending) await this.#pool.end()
  }

  #poolFor(from: 'primary' | 'readOnly' | undefined): Pool {
    if (from !== 'readOnly') {
      if (this.#heldBack()) throw new DatabaseError(this.name, 'unreachable', 'has not been prepared yet')
      return this.#pool
    }
    if (this.#readOnlyPool === undefined)
      throw new DatabaseError(this.name, 'unreachable', 'no read-only database is configured')
    return this.#readOnlyPool
  }

  async #counted<T>(run: () => Promise<T>): Promise<T> {
    if (this.#closing) throw new DatabaseError(this.name, 'unreachable', 'closed')
    this.#inFlight++
    try {
      return await run()
    } finally {
      this.#inFlight--
      if (this.#inFlight === 0) this.#onIdle()
    }
  }

  async #autocommit<Row extends object>(
    pool: Pool,
    sql: string,
    values: readonly unknown[] | undefined,
    name: string | undefined,
    deadline: number,
  ): Promise<Row[]> {
    let client: PoolClient | undefined
    let over = false
    const release = (destroy: boolean): void => {
      over = true
      if (client === undefined) return
      if (destroy) destroyClient(client)
      else client.release()
      client = undefined
    }
    let timer: NodeJS.Timeout | undefined
    const expired = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => {
          if (over) return
          release(true)
          reject(new DatabaseError(this.name, 'timeout', 'no answer in time'))
        },
        Math.max(0, deadline - performance.now()),
      )
    })
    const run = async (): Promise<Row[]> => {
      try {
        const connected = await pool.connect()
        if (over) {
          connected.release()
          return []
        }
        client = connected
        const result = await runStatement(connected, sql, values, name)
        release(false)
        return result.rows as Row[]
      } catch (error) {
        const failure = toDatabaseError(error, this.name)
        if (!over) release(breaksConnection(failure))
        throw failure
      }
    }
    try {
      return await Promise.race([expired, run()])
    } finally {
      clearTimeout(timer)
    }
  }
}

// The pool's connection had died while it was idle: the server was restarted, or a network device forgot it.
const isDeadConnection = (error: unknown): boolean =>
  error instanceof DatabaseError &&
  error.kind === 'unreachable' &&
  !error.commitUnknown &&
  error.code !== 'ECONNREFUSED' &&
  error.code !== 'ENOTFOUND'

function openOrm(options: DatabaseOptions): { orm: MikroORM; pool: Pool } {
  const created: { pool?: Pool } = {}
  const orm = new MikroORM({
    clientUrl: withPort(options.url),
    entities: [...(options.entities ?? [])],
    discovery: { warnWhenNoEntities: false },
    metadataCache: { enabled: false },
    // The default silently creates a missing database: a typo in a region's URL would make an empty region.
    ensureDatabase: false,
    // Statements carry identifiers of people; nothing of MikroORM's goes to a log.
    debug: false,
    logger: () => undefined,
    driverOptions: {
      ...poolOptions(options, options.url),
      onPoolCreated: (pool: Pool) => {
        created.pool = pool
      },
    },
  })
  // Builds the pool; connects to nothing.
  orm.em.getConnection().getClient()
  if (created.pool === undefined) throw new Error('MikroORM made no pool.')
  hearErrors(created.pool)
  return { orm, pool: created.pool }
}

import { setTimeout as wait } from 'node:timers/promises'
import type { Database, DirectTransaction } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { type Deadline, DeadlineExceeded, within } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { CircuitBreaker } from './circuit-breaker.js'
import type { RegionTrouble } from './region-state.js'
import type { RegionRegistry } from './region-registry.js'

/** What went wrong with a region, in the words clients see. */
export type RegionFailure =
  | 'timeout'
  | 'unreachable'
  | 'starting'
  | 'overloaded'
  | 'not_configured'
  | 'failed_over'
  | 'error'

export type RegionAnswer<T> = {
  readonly region: Region
  readonly latencyMs: number
} & (
  | { readonly status: 'OK'; readonly servedBy: Region; readonly reason: null; readonly value: T }
  | {
      readonly status: 'SERVED_BY_REPLICA'
      readonly servedBy: Region
      readonly reason: RegionFailure
      readonly value: T
    }
  | {
      readonly status: 'UNAVAILABLE'
      readonly servedBy: null
      readonly reason: RegionFailure
      /** For the log. */
      readonly cause: unknown
    }
)

export type RegionRead<T> = (tx: DirectTransaction, region: Region) => Promise<T>

type Side = 'primary' | 'readOnly'

type Breakers = Readonly<Record<Side, CircuitBreaker>>

/** How long a database that did not answer is left alone before it is asked, by us, whether it is back. */
const breakMs = 250
const probeTimeoutMs = 1000
/** A database gives up by itself at the deadline; this is for one that doesn't. */
const guardMs = 100
/** The part of the time a primary gets where a read-only server could still answer after it. */
const primaryShare = 0.5

function failureOf(error: unknown): RegionFailure {
  if (error instanceof DeadlineExceeded) return 'timeout'
  if (!(error instanceof DatabaseError)) return 'error'
  switch (error.kind) {
    case 'timeout':
    case 'unreachable':
    case 'starting':
      return error.kind
    case 'too_many_connections':
      return 'overloaded'
    default:
      return 'error'
  }
}

// PostgreSQL cancelled the statement: the server is well, the question was too hard.
const cancelledByServer = (error: unknown) => error instanceof DatabaseError && error.code === '57014'

class NotAsked extends Error {
  override readonly name = 'NotAsked'
  constructor(readonly failure: RegionFailure) {
    super('The database did not answer a moment ago.')
  }
}

/**
 * Reads in regions. What a region can't answer is an answer too: nothing here rejects because a region is down. The
 * primary is asked; only where it doesn't answer is the region's read-only server, and the answer says so.
 */
export class RegionGateway {
  readonly #registry: RegionRegistry
  readonly #breakers = new WeakMap<Database, Breakers>()
  readonly #lastFailure = new WeakMap<CircuitBreaker, RegionFailure>()
  readonly #probers = new Map<CircuitBreaker, Promise<void>>()
  readonly #stop = new AbortController()
  readonly #isFailedOver: (region: Region) => boolean

  /** `isFailedOver`: says of which regions the primary is not to be asked, whatever it would answer. */
  constructor(registry: RegionRegistry, isFailedOver: (region: Region) => boolean = () => false) {
    this.#registry = registry
    this.#isFailedOver = isFailedOver
  }

  /**
   * Hears what keeps a region from answering, as found by somebody else; null: nothing does. It is asked by this process
   * too before that is believed for longer than a moment: the two may not have the same way to it.
   */
  heard(region: Region, failure: RegionTrouble | null): void {
    const database = this.#registry.find(region)?.database
    if (database === undefined) return
    const breaker = this.#breakersOf(database).primary
    if (failure === null) breaker.answered()
    else if (breaker.isClosed) this.#break(region, database, 'primary', failure === 'read_only' ? 'error' : failure)
  }

  /** Whether the region did not answer a moment ago, and is not asked until it does; or is not asked at all. */
  isBroken(region: Region): boolean {
    if (this.#isFailedOver(region)) return true
    const database = this.#registry.find(region)?.database
    return database !== undefined && !this.#breakersOf(database).primary.isClosed
  }

  /** Asks no region any more whether it is back. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#probers.values())
  }

  /**
   * Runs `read` in a read-only transaction in one region that sees the rows of `companies`. Rejects only with what
   * `read` throws of its own (a `DomainError`).
   */
  async read<T>(
    region: Region,
    companies: readonly string[],
    deadline: Deadline,
    read: RegionRead<T>,
  ): Promise<RegionAnswer<T>> {
    const startedMs = performance.now()
    const latencyMs = () => Math.round((performance.now() - startedMs) * 100) / 100
    if (this.#registry.find(region) === undefined)
      return { region, status: 'UNAVAILABLE', servedBy: null, latencyMs: 0, reason: 'not_configured', cause: null }
    return this.#registry.use(region, async ({ database }) => {
      const attempt = (from: Side, timeoutMs: number) =>
        this.#attempt(region, database, from, timeoutMs, () =>
          database.transaction({ companies, readOnly: true, from, genericPlans: true, timeoutMs }, (tx) =>
            read(tx, region),
          ),
        )
      const primaryMs = deadline.remainingMs() * (database.hasReadOnly ? primaryShare : 1)
      try {
        if (this.#isFailedOver(region)) throw new NotAsked('failed_over')
        const value = await attempt('primary', primaryMs)
        return { region, status: 'OK', servedBy: region, latencyMs: latencyMs(), reason: null, value }
      } catch (error) {
        if (error instanceof DomainError) throw error
        const reason = error instanceof NotAsked ? error.failure : failureOf(error)
        if (database.hasReadOnly) {
          try {
            const value = await attempt('readOnly', deadline.remainingMs())
            return { region, status: 'SERVED_BY_REPLICA', servedBy: region, latencyMs: latencyMs(), reason, value }
          } catch (readOnlyError) {
            if (readOnlyError instanceof DomainError) throw readOnlyError
          }
        }
        return { region, status: 'UNAVAILABLE', servedBy: null, latencyMs: latencyMs(), reason, cause: error }
      }
    })
  }

  /** {@link read} in several regions at once: as slow as the slowest, never slower than the deadline. */
  readEach<T>(
    regions: readonly Region[],
    companies: readonly string[],
    deadline: Deadline,
    read: RegionRead<T>,
  ): Promise<RegionAnswer<T>[]> {
    return Promise.all(regions.map((region) => this.read(region, companies, deadline, read)))
  }

  async #attempt<T>(
    region: Region,
    database: Database,
    side: Side,
    timeoutMs: number,
    run: () => Promise<T>,
  ): Promise<T> {
    const breaker = this.#breakersOf(database)[side]
    if (!breaker.isClosed) throw new NotAsked(this.#lastFailure.get(breaker) ?? 'unreachable')
    try {
      return await within(timeoutMs + guardMs, run())
    } catch (error) {
      const failure = failureOf(error)
      if (failure !== 'error' && !cancelledByServer(error)) this.#break(region, database, side, failure)
      throw error
    }
  }

  #break(region: Region, database: Database, side: Side, failure: RegionFailure): void {
    const breaker = this.#breakersOf(database)[side]
    this.#lastFailure.set(breaker, failure)
    breaker.failed()
    if (this.#probers.has(breaker) || this.#stop.signal.aborted) return
    this.#probers.set(breaker, this.#probe(region, database, side, breaker))
  }

  /** Asks a database until it answers, so that no request has to find out. Never rejects. */
  async #probe(region: Region, database: Database, side: Side, breaker: CircuitBreaker): Promise<void> {
    while (!breaker.isClosed && !this.#stop.signal.aborted) {
      // The only way it rejects is the stop, which the loop sees by itself.
      await wait(breakMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
      // Another database has taken its place, with a breaker of its own.
      if (this.#registry.find(region)?.database !== database) break
      if (!breaker.admitsProbe()) continue
      try {
        const asked = database.query('select 1', [], { timeoutMs: probeTimeoutMs, from: side })
        await within(probeTimeoutMs + guardMs, asked)
        breaker.answered()
      } catch (error) {
        const failure = failureOf(error)
        if (failure === 'error') breaker.answered()
        else {
          this.#lastFailure.set(breaker, failure)
          breaker.failed()
        }
      }
    }
    this.#probers.delete(breaker)
  }

  #breakersOf(database: Database): Breakers {
    let breakers = this.#breakers.get(database)
    if (breakers === undefined) {
      breakers = { primary: new CircuitBreaker(breakMs), readOnly: new CircuitBreaker(breakMs) }
      this.#breakers.set(database, breakers)
    }
    return breakers
  }
}

/**
 * The value of an answer, or the error that a request fails with where it needs this one region: `REGION_UNAVAILABLE`,
 * or, where the fault is not the region's, the error itself.
 */
export function valueOf<T>(answer: RegionAnswer<T>): T {
  if (answer.status !== 'UNAVAILABLE') return answer.value
  if (answer.reason === 'error') throw answer.cause
  throw new DomainError('REGION_UNAVAILABLE', `Region ${answer.region} does not answer now (${answer.reason}).`, {
    details: { regions: [answer.region] },
    cause: answer.cause,
  })
}

import { setTimeout as wait } from 'node:timers/promises'
import type { Database, DirectTransaction } from '../db/database.js'
import { DatabaseError } from '../db/database-error.js'
import { type Deadline, DeadlineExceeded, within } from '../kernel/deadline.js'
import { DomainError } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { CircuitBreaker } from './circuit-breaker.js'
import { isReplicaFit, replicasOf } from './fit-replica.js'
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
  | 'erasure_pending'
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

/** `servedBy` is the region whose database and keys it runs with: another one where a replica stands in. */
export type RegionRead<T> = (tx: DirectTransaction, region: Region, servedBy: Region) => Promise<T>

/** What the gateway knows of tenants: who has replicas where, and what must have come there. */
export type ReplicaFacts = Pick<ControlFacts, 'peekCompany' | 'company' | 'workspacesOf' | 'erasureFloors'>

type Side = 'primary' | 'readOnly'

type Breakers = Readonly<Record<Side, CircuitBreaker>>

/** How long a database that did not answer is left alone before it is asked, by us, whether it is back. */
const breakMs = 250
const probeTimeoutMs = 1000
/** A database gives up by itself at the deadline; this is for one that doesn't. */
const guardMs = 100
/** The part of the time that is left which a database gets where another could still answer after it. */
const attemptShare = 0.5

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

/** The replica is not, or no longer, one that may be read. */
class NotFit extends Error {
  override readonly name = 'NotFit'
}

type HomeAnswer<T> =
  | { readonly value: T; readonly servedBy: Region; readonly reason: RegionFailure | null; readonly cause?: undefined }
  | { readonly reason: RegionFailure; readonly cause: unknown }

/**
 * Reads in regions. What a region can't answer is an answer too: nothing here rejects because a region is down. The
 * primary is asked; only where it doesn't answer is the region's read-only server, and then the regions that keep
 * replicas for the company, and the answer says so.
 */
export class RegionGateway {
  readonly #registry: RegionRegistry
  readonly #facts: ReplicaFacts
  readonly #breakers = new WeakMap<Database, Breakers>()
  readonly #lastFailure = new WeakMap<CircuitBreaker, RegionFailure>()
  readonly #probers = new Map<CircuitBreaker, Promise<void>>()
  readonly #stop = new AbortController()
  readonly #isFailedOver: (region: Region) => boolean
  readonly #owesErasure: (region: Region, companies: readonly string[]) => boolean

  /**
   * `isFailedOver`: says of which regions the primary is not to be asked, whatever it would answer. `owesErasure`: in which
   * something of one of these companies has yet to be erased, so that nothing of theirs is read from it.
   */
  constructor(
    registry: RegionRegistry,
    facts: ReplicaFacts,
    isFailedOver: (region: Region) => boolean = () => false,
    owesErasure: (region: Region, companies: readonly string[]) => boolean = () => false,
  ) {
    this.#owesErasure = owesErasure
    this.#registry = registry
    this.#facts = facts
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
   * Runs `read` in a read-only transaction in one region that sees the rows of `companies`. `workspaceIds`: what it is
   * about, so that a replica need be fit for no more; all of the companies' in the region where left out. Rejects only
   * with what `read` throws of its own (a `DomainError`).
   */
  async read<T>(
    region: Region,
    companies: readonly string[],
    deadline: Deadline,
    read: RegionRead<T>,
    workspaceIds?: readonly string[],
  ): Promise<RegionAnswer<T>> {
    const startedMs = performance.now()
    const latencyMs = () => Math.round((performance.now() - startedMs) * 100) / 100
    if (this.#registry.find(region) === undefined)
      return { region, status: 'UNAVAILABLE', servedBy: null, latencyMs: 0, reason: 'not_configured', cause: null }
    const hasReplica = this.#mayHaveReplica(region, companies)
    const own = this.#owesErasure(region, companies)
      ? ({ reason: 'erasure_pending', cause: null } as const)
      : await this.#readHome(region, companies, deadline, read, hasReplica)
    if ('value' in own && own.reason === null)
      return { region, status: 'OK', servedBy: region, latencyMs: latencyMs(), reason: null, value: own.value }
    const { reason } = own
    const stoodIn = 'value' in own ? own : await this.#readReplicas(region, companies, deadline, read, workspaceIds)
    return stoodIn === null
      ? { region, status: 'UNAVAILABLE', servedBy: null, latencyMs: latencyMs(), reason: reason!, cause: own.cause }
      : { ...stoodIn, region, status: 'SERVED_BY_REPLICA', latencyMs: latencyMs(), reason: reason! }
  }

  /** {@link read} in several regions at once: as slow as the slowest, never slower than the deadline. */
  readEach<T>(
    regions: readonly Region[],
    companies: readonly string[],
    deadline: Deadline,
    read: RegionRead<T>,
    workspacesIn?: (region: Region) => readonly string[],
  ): Promise<RegionAnswer<T>[]> {
    return Promise.all(regions.map((region) => this.read(region, companies, deadline, read, workspacesIn?.(region))))
  }

  /** From the region's own databases. `reason`: why not from its primary; null where it was. */
  async #readHome<T>(
    region: Region,
    companies: readonly string[],
    deadline: Deadline,
    read: RegionRead<T>,
    hasReplica: boolean,
  ): Promise<HomeAnswer<T>> {
    return this.#registry.use(region, async ({ database }) => {
      const attempt = (from: Side, share: number) => {
        const timeoutMs = deadline.remainingMs() * share
        return this.#attempt(region, database, from, timeoutMs, () =>
          database.transaction({ companies, readOnly: true, from, genericPlans: true, timeoutMs }, (tx) =>
            read(tx, region, region),
          ),
        )
      }
      try {
        if (this.#isFailedOver(region)) throw new NotAsked('failed_over')
        const value = await attempt('primary', database.hasReadOnly || hasReplica ? attemptShare : 1)
        return { value, servedBy: region, reason: null }
      } catch (error) {
        if (error instanceof DomainError) throw error
        const reason = error instanceof NotAsked ? error.failure : failureOf(error)
        if (!database.hasReadOnly) return { reason, cause: error }
        try {
          const value = await attempt('readOnly', hasReplica ? attemptShare : 1)
          return { value, servedBy: region, reason }
        } catch (readOnlyError) {
          if (readOnlyError instanceof DomainError) throw readOnlyError
        }
        return { reason, cause: error }
      }
    })
  }

  /** From the first region that keeps a fit replica of all that is asked for; null where there is none. */
  async #readReplicas<T>(
    home: Region,
    companies: readonly string[],
    deadline: Deadline,
    read: RegionRead<T>,
    workspaceIds: readonly string[] | undefined,
  ): Promise<{ readonly value: T; readonly servedBy: Region } | null> {
    const replicas = await within(deadline.remainingMs(), replicasOf(this.#facts, home, companies, workspaceIds)).catch(
      () => null,
    )
    if (replicas === null) return null
    for (const [index, replica] of replicas.regions.entries()) {
      const timeoutMs = deadline.remainingMs() / (replicas.regions.length - index)
      try {
        const value = await this.#registry.use(replica, ({ database }) =>
          this.#attempt(replica, database, 'primary', timeoutMs, () =>
            database.transaction(
              { companies, schema: 'replica', readOnly: true, genericPlans: true, timeoutMs },
              async (tx) => {
                // Sent before what is read, and looked at after: it costs no time of its own.
                const isFit = isReplicaFit(tx, home, replicas.required)
                const found = await read(tx, home, replica)
                if (!(await isFit)) throw new NotFit()
                return found
              },
            ),
          ),
        )
        return { value, servedBy: replica }
      } catch (error) {
        if (error instanceof DomainError && error.code !== 'REGION_UNAVAILABLE') throw error
      }
    }
    return null
  }

  /** As far as memory knows: then the home leaves some of the time to replicas. */
  #mayHaveReplica(home: Region, companies: readonly string[]): boolean {
    const isCopied = (id: string) => this.#facts.peekCompany(id)?.replicateTo.some((region) => region !== home) === true
    return companies.length > 0 && companies.every(isCopied)
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

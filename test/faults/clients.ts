// A process: the clients. Each writes to every region, in each region to one workspace at a time, and to a workspace the
// next events only when the former are acknowledged: whoever waited for an answer may count on the order. What fails is
// sent again with the same idempotency keys, to the other process.
import { setTimeout as wait } from 'node:timers/promises'
import { seededRandom, type SeededRandom } from '../../src/demo/seeded-random.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { AttemptLog, eventName } from './attempt-log.js'
import { postGraphql } from './graphql-post.js'
import { ingestRequest, receiptsOf, type IngestData } from './stream-events.js'
import type { FaultWorkspace } from './tenants.js'

export interface ClientsOptions {
  readonly seed: string
  readonly clients: number
  readonly origins: readonly string[]
  readonly workspaces: readonly FaultWorkspace[]
  /** Where attempts are written. */
  readonly logFile: string
  /** Between an acknowledgement and the next request of the same client to the same region, on average. */
  readonly thinkMs: number
  /** Of requests with several events, on average. */
  readonly batchEvents: number
}

/** What the parent sends: the options, then the wish to stop. */
export type ClientsOrder = { readonly run: ClientsOptions } | { readonly stop: true }
/** What it hears: how many events are acknowledged, twice a second; at the end, what was wrong for good. */
export type ClientsReport =
  | { readonly acknowledged: number }
  | { readonly done: { readonly unacknowledged: number; readonly refusals: readonly string[] } }

/** A request that comes back with one of these is sent again; any other refusal is a finding. */
const retriedCodes = new Set(['REGION_UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL_SERVER_ERROR'])
/** Patient, ordinary and impatient: those that give up early send again what may still be under way. */
const timeoutsMs = [1_200, 4_000, 9_000]
const singlesShare = 0.75
const retryMsMax = 250
/** After the wish to stop: a request that nobody has acknowledged by then stays in doubt. */
const patienceMs = 60_000
const reportMs = 500

const nowMs = (): number => performance.timeOrigin + performance.now()

class Clients {
  acknowledged = 0
  unacknowledged = 0
  readonly refusals: string[] = []
  #stopMs = Number.POSITIVE_INFINITY
  readonly #options: ClientsOptions
  readonly #log: AttemptLog

  constructor(options: ClientsOptions, log: AttemptLog) {
    this.#options = options
    this.#log = log
  }

  stop(): void {
    this.#stopMs = nowMs()
  }

  async run(): Promise<void> {
    const { clients } = this.#options
    const lanes = Array.from({ length: clients }, (_, client) =>
      regions.map((region) => this.#follow(client, region, seededRandom(`${this.#options.seed}/${client}/${region}`))),
    )
    await Promise.all(lanes.flat())
  }

  async #follow(client: number, region: Region, random: SeededRandom): Promise<void> {
    const { workspaces, thinkMs, batchEvents } = this.#options
    const own = [...workspaces.entries()].filter(([, workspace]) => workspace.region === region)
    const next = new Map(own.map(([index]) => [index, 1]))
    while (this.#stopMs === Number.POSITIVE_INFINITY) {
      await wait(-Math.log(1 - random.next()) * thinkMs)
      const [workspace] = random.pick(own)
      const count = random.next() < singlesShare ? 1 : 2 + random.integer(2 * batchEvents - 3)
      const first = next.get(workspace)!
      if (!(await this.#record(client, workspace, { first, count }, random))) {
        this.unacknowledged += count
        return
      }
      next.set(workspace, first + count)
    }
  }

  /** Sends until it is acknowledged; false where it never was. */
  async #record(
    client: number,
    workspace: number,
    { first, count }: { readonly first: number; readonly count: number },
    random: SeededRandom,
  ): Promise<boolean> {
    const { origins, workspaces } = this.#options
    const { region, apiKey } = workspaces[workspace]!
    const request = ingestRequest(client, workspace, first, count)
    const headers = { authorization: `Bearer ${apiKey}` }
    for (let api = random.integer(origins.length); nowMs() - this.#stopMs < patienceMs; api++) {
      const at = { client, api: api % origins.length, region, workspace, first, count, startMs: nowMs() }
      const answer = await postGraphql<IngestData>(origins[at.api]!, headers, request, random.pick(timeoutsMs))
      const receipts = answer.kind === 'answer' && answer.code === null ? receiptsOf(answer.data) : undefined
      const outcome = receipts === undefined ? (answer.code ?? 'NOTHING') : 'OK'
      this.#log.add({ ...at, endMs: nowMs(), outcome, ...(receipts === undefined ? {} : { receipts }) })
      if (receipts !== undefined) {
        this.acknowledged += count
        return true
      }
      if (answer.kind === 'answer' && !retriedCodes.has(outcome)) {
        this.refusals.push(`${outcome} for ${eventName(client, workspace, first)}: ${answer.message}`)
        return false
      }
      await wait(random.next() * retryMsMax)
    }
    return false
  }
}

async function runClients(options: ClientsOptions): Promise<void> {
  const log = await AttemptLog.create(options.logFile)
  const clients = new Clients(options, log)
  const report = (message: ClientsReport): void => void process.send?.(message)
  const timer = setInterval(() => report({ acknowledged: clients.acknowledged }), reportMs)
  process.on('message', (order: ClientsOrder) => {
    if ('stop' in order) clients.stop()
  })
  await clients.run()
  clearInterval(timer)
  await log.close()
  const { unacknowledged, refusals, acknowledged } = clients
  report({ acknowledged })
  process.send?.({ done: { unacknowledged, refusals } } satisfies ClientsReport, () => process.disconnect())
}

process.once('disconnect', () => process.exit())
process.once('message', (order: ClientsOrder) => {
  if ('run' in order) void runClients(order.run)
})

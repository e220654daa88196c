import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { checkRun, type CheckResult } from './check-run.js'
import type { ClientsOrder, ClientsReport } from './clients.js'
import { controls, type ControlName } from './controls.js'
import { FaultInjector, type InjectedFault } from './fault-injector.js'
import { planFaults, plannedMs, type FaultKind } from './fault-plan.js'
import { measureService, type Phases, type ServedMeanwhile } from './measure.js'
import { openWorld, type FaultWorld } from './world.js'

export interface SuiteOptions {
  readonly seed: string
  readonly faults: number
  /** Acknowledged events that a run has to reach at least. */
  readonly events: number
  readonly clients: number
  readonly control: ControlName | null
  /** Kinds that this machine can't do. */
  readonly without: readonly FaultKind[]
  readonly keep: boolean
}

export interface SuiteResult extends CheckResult {
  readonly injected: readonly InjectedFault[]
  readonly served: readonly ServedMeanwhile[]
  /** Requests by what came of them. */
  readonly byOutcome: Readonly<Record<string, number>>
  readonly unacknowledged: number
  readonly folder: string
}

export type OnProgress = (label: string, done: number, total: number) => void

/** Before anything is measured: code is compiled, connections are made, keys are in memory. */
const warmUpMs = 8_000
const calmMs = 12_000
/** Controls measure nothing. */
const controlCalmMs = 500
/** For the queues to run empty; after a control they may never. */
const settleMs = 60_000
const controlSettleMs = 15_000
/** After the last fault: clients go on as if nothing had been. */
const afterwardsMs = 3_000
const thinkMs = 250
/** Controls are short: more has to be under way when something breaks. */
const controlThinkMs = 100
const singlesShare = 0.75
const regionCount = 4
const batchEventsMin = 4
const batchEventsMax = 900
/** A run that gets nowhere ends. */
const overtimeMs = 300_000

const stopSignals = ['SIGINT', 'SIGTERM'] as const

const nowMs = (): number => performance.timeOrigin + performance.now()

/** How many events a batch has, so that the run reaches its number of events in about the time its faults take. */
function batchEventsFor(options: SuiteOptions): number {
  const { events, clients } = options
  const times = timesOf(options)
  const runMs = times.warmUpMs + times.calmMs + plannedMs(planOf(options)) + afterwardsMs
  const requests = (runMs / (times.thinkMs * 1.5)) * clients * regionCount
  const wanted = (events / requests - singlesShare) / (1 - singlesShare)
  return Math.round(Math.min(batchEventsMax / 2, Math.max(batchEventsMin, wanted)))
}

/** The clients, in a process of their own. */
class ClientsProcess {
  acknowledged = 0
  readonly #child = fork(fileURLToPath(new URL('./clients.js', import.meta.url)))
  readonly #done: Promise<{ readonly unacknowledged: number; readonly refusals: readonly string[] }>

  constructor(run: Extract<ClientsOrder, { run: unknown }>['run']) {
    this.#done = new Promise((resolve, reject) => {
      this.#child.on('message', (report: ClientsReport) => {
        if ('done' in report) resolve(report.done)
        else this.acknowledged = report.acknowledged
      })
      this.#child.once('exit', () => reject(new Error('The clients ended without a word.')))
    })
    this.#done.catch(() => undefined)
    this.#child.send({ run } satisfies ClientsOrder)
  }

  /** Lets each client finish what it has begun. */
  async stop(): ReturnType<ClientsProcess['finished']> {
    this.#child.send({ stop: true } satisfies ClientsOrder)
    return this.finished()
  }

  finished(): Promise<{ readonly unacknowledged: number; readonly refusals: readonly string[] }> {
    return this.#done
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

/** The faults one after another, and afterwards more of everyday life until there are enough events. */
async function makeTrouble(
  world: FaultWorld,
  clients: ClientsProcess,
  options: SuiteOptions,
  onProgress: OnProgress,
): Promise<{ readonly injected: readonly InjectedFault[]; readonly phases: Phases }> {
  const plan = planOf(options)
  onProgress('warming up', 0, options.faults)
  const times = timesOf(options)
  await wait(times.warmUpMs)
  const calmFromMs = nowMs()
  onProgress('before any fault', 0, options.faults)
  await wait(times.calmMs)
  const calmToMs = nowMs()
  const injector = new FaultInjector(world, (count) =>
    onProgress(`${count} faults, ${clients.acknowledged} events acknowledged`, count, options.faults),
  )
  await injector.run(plan)
  await wait(afterwardsMs)
  const deadlineMs = nowMs() + overtimeMs
  while (clients.acknowledged < options.events && nowMs() < deadlineMs) {
    onProgress(`${clients.acknowledged} of ${options.events} events acknowledged`, clients.acknowledged, options.events)
    await wait(500)
  }
  return { injected: injector.injected, phases: { calmFromMs, calmToMs, endMs: nowMs() } }
}

const timesOf = ({ control }: SuiteOptions) =>
  control === null
    ? { warmUpMs, calmMs, thinkMs, settleMs }
    : { warmUpMs: controlCalmMs, calmMs: controlCalmMs, thinkMs: controlThinkMs, settleMs: controlSettleMs }

const planOf = ({ seed, faults, without, control }: SuiteOptions) =>
  planFaults({ seed, faults, without, ...(control === null ? {} : { only: controls[control].only }) })

/** One run: a world, its clients, its faults, and the check. Rejects where the suite itself could not go on. */
export async function runSuite(options: SuiteOptions, onProgress: OnProgress): Promise<SuiteResult> {
  const control = options.control === null ? null : controls[options.control]
  onProgress('starting the service', 0, 1)
  const world = await openWorld({ ownDisks: !options.without.includes('fill-disk'), ...control?.world })
  let clients: ClientsProcess | undefined
  let isOver = false
  const onSignal = (): void => {
    void world.close(options.keep).finally(() => process.exit(130))
  }
  for (const signal of stopSignals) process.once(signal, onSignal)
  try {
    await control?.prepare?.(world)
    const attemptsFile = join(world.folder, 'attempts.ndjson')
    clients = new ClientsProcess({
      seed: options.seed,
      clients: options.clients,
      origins: world.apis.map(({ url }) => url),
      workspaces: world.workspaces,
      logFile: attemptsFile,
      thinkMs: timesOf(options).thinkMs,
      batchEvents: batchEventsFor(options),
    })
    const { injected, phases } = await makeTrouble(world, clients, options, onProgress)
    onProgress('waiting for the last answers', 1, 1)
    const { unacknowledged, refusals } = await clients.stop()
    const checked = await checkRun(world, attemptsFile, timesOf(options).settleMs, (done, total) =>
      onProgress('checking chains', done, total),
    )
    const measured = await measureService(attemptsFile, injected, phases)
    isOver = true
    const faults = [...refusals.map((what) => `refused: ${what}`), ...checked.faults]
    return { ...checked, ...measured, faults, injected, unacknowledged, folder: world.folder }
  } finally {
    for (const signal of stopSignals) process.off(signal, onSignal)
    await clients?.kill()
    await world.close(options.keep || !isOver)
  }
}

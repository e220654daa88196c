import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../log.js'
import { lockDataDir } from './data-dir-lock.js'
import { startEmbeddedServer, type EmbeddedServer, type ServerSecrets } from './embedded-server.js'
import { isStopWished, serverFolder, takeStartWish } from './server-requests.js'

export interface SupervisorOptions {
  /** Absolute. Each server lives in a folder of it, named after the server in lower case. */
  readonly dataDir: string
  /** Servers by name (`control`, `AU`, …) with the passwords of their roles. */
  readonly servers: ReadonlyMap<string, ServerSecrets>
  readonly log: Log
  /** How long a server that died stays down before it is started again. */
  readonly restartDelayMs?: number
  /** A server runs again, or for the first time: from now on its URLs are right. */
  readonly onRestarted?: (name: string) => void
  /** Settings on top of ours, for every server. */
  readonly settings?: Readonly<Record<string, string>>
}

const restartDelayMsDefault = 30_000
const requestsPollMs = 200

interface Supervised {
  readonly name: string
  readonly folder: string
  readonly secrets: ServerSecrets
  /** Chosen at the first start of this process and kept: others hold URLs with it. */
  port: number | undefined
  server: EmbeddedServer | undefined
  /** When a server that is down is due again; undefined where it is not to be started. */
  dueMs: number | undefined
  busy: boolean
}

/**
 * Keeps the embedded PostgreSQL servers of one data directory running: starts them together, starts one that died again
 * after a while, stops and starts single ones when `hyrelog admin region` asks for it, and ends them all with itself.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #supervised: readonly Supervised[]
  readonly #unlock: () => void
  #timer: NodeJS.Timeout | undefined
  #stopping = false
  readonly #work = new Set<Promise<void>>()

  private constructor(options: SupervisorOptions) {
    this.#options = options
    mkdirSync(options.dataDir, { recursive: true, mode: 0o711 })
    this.#unlock = lockDataDir(options.dataDir)
    this.#supervised = [...options.servers].map(([name, secrets]) => ({
      name,
      folder: serverFolder(name),
      secrets,
      port: undefined,
      server: undefined,
      dueMs: undefined,
      busy: false,
    }))
  }

  /**
   * Starts every server that nobody asked to be stopped. Throws `DataDirInUseError` where another process runs on the
   * data directory, and what a server says when it can't be started; nothing is left running then.
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const supervisor = new Supervisor(options)
    const outcomes = await Promise.allSettled(supervisor.#supervised.map((one) => supervisor.#begin(one)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) {
      await supervisor.stop()
      throw failed.reason
    }
    supervisor.#watch()
    return supervisor
  }

  /** URL of a server's database for a role; undefined while a server that was asked to be stopped never ran. */
  url(name: string, role: keyof ServerSecrets): string | undefined {
    return this.#supervised.find((one) => one.name === name)?.server?.url(role)
  }

  /** Ends all servers, each cleanly. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#timer)
    await Promise.all(this.#work)
    await Promise.all(this.#supervised.map(async (one) => one.server?.stop()))
    this.#unlock()
  }

  async #begin(one: Supervised): Promise<void> {
    const { dataDir, log } = this.#options
    if (isStopWished(dataDir, one.folder)) {
      log.warn({ server: one.name }, 'server stays stopped, as asked for; hyrelog admin region start starts it')
      return
    }
    takeStartWish(dataDir, one.folder)
    await this.#startServer(one)
  }

  async #startServer(one: Supervised): Promise<void> {
    const { dataDir, log, settings } = this.#options
    const server = await startEmbeddedServer({
      name: one.name,
      directory: join(dataDir, one.folder),
      secrets: one.secrets,
      logFile: join(dataDir, 'log', `${one.folder}.log`),
      ...(one.port === undefined ? {} : { port: one.port }),
      ...(settings === undefined ? {} : { settings }),
    })
    one.server = server
    one.port = server.port
    one.dueMs = undefined
    log.info({ server: one.name, pid: server.pid, port: server.port }, 'PostgreSQL server started')
    void server.exited.then(() => this.#onExit(one, server))
  }

  #onExit(one: Supervised, server: EmbeddedServer): void {
    const { restartDelayMs = restartDelayMsDefault, dataDir, log } = this.#options
    if (this.#stopping || one.server !== server || isStopWished(dataDir, one.folder)) return
    one.dueMs = Date.now() + restartDelayMs
    log.error({ server: one.name, restartDelayMs }, 'PostgreSQL server died; it is started again after a while')
  }

  #watch(): void {
    this.#timer = setInterval(() => {
      for (const one of this.#supervised) {
        // A server that starts slowly must not hold up the others.
        if (one.busy || this.#stopping) continue
        one.busy = true
        const work = this.#attend(one).finally(() => {
          one.busy = false
          this.#work.delete(work)
        })
        this.#work.add(work)
      }
    }, requestsPollMs)
    this.#timer.unref()
  }

  /** Compares one server with what is wished, and acts. Never rejects. */
  async #attend(one: Supervised): Promise<void> {
    const { dataDir, log, restartDelayMs = restartDelayMsDefault } = this.#options
    const running = one.server?.running() === true
    try {
      if (isStopWished(dataDir, one.folder)) {
        one.dueMs = undefined
        if (!running) return
        await one.server!.stop()
        log.info({ server: one.name }, 'PostgreSQL server stopped, as asked for')
        return
      }
      const asked = takeStartWish(dataDir, one.folder)
      // Not running and not due: it was stopped, and the wish has been taken back.
      if (running || (!asked && one.dueMs !== undefined && Date.now() < one.dueMs)) return
      await this.#startServer(one)
      this.#options.onRestarted?.(one.name)
    } catch (error) {
      one.dueMs = Date.now() + restartDelayMs
      log.error(
        { server: one.name, err: error },
        'PostgreSQL server could not be started or stopped; it is tried again',
      )
    }
  }
}

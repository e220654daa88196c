import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const startTimeoutMs = 60_000
const pollMs = 50

function programOf({ withoutRule }: ApiProcessOptions): string {
  const service = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
  if (!existsSync(service)) throw new Error('There is no dist/main.js: run `npm run build` first.')
  return withoutRule ? fileURLToPath(new URL('./api-without-rule.js', import.meta.url)) : service
}

export interface ApiProcessOptions {
  readonly port: number
  readonly environment: Readonly<Record<string, string>>
  readonly logFile: string
  /** Lets writes go to a region while events are still queued for it: for a control. */
  readonly withoutRule: boolean
}

/** The service as an operator runs it, with what can go wrong with a process. */
export class ApiProcess {
  readonly url: string
  readonly #options: ApiProcessOptions
  #child: ChildProcess | undefined

  constructor(options: ApiProcessOptions) {
    this.#options = options
    this.url = `http://127.0.0.1:${options.port}`
  }

  /** Starts it and waits until it serves; one that fails to start, its databases being down, is started again. */
  async start(): Promise<void> {
    const deadline = Date.now() + startTimeoutMs
    while (Date.now() < deadline) {
      if (this.#child === undefined || hasEnded(this.#child)) this.#child = this.#spawn()
      const answer = await fetch(`${this.url}/readyz`).catch(() => null)
      if (answer?.ok === true) return
      await wait(pollMs)
    }
    throw new Error(`The service was not ready within ${startTimeoutMs} ms: see ${this.#options.logFile}.`)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || hasEnded(child)) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  /** From now on its clock is wrong by this much. */
  skew(skewMs: number): void {
    if (this.#child?.connected === true) this.#child.send({ skewMs })
  }

  #spawn(): ChildProcess {
    const { port, environment, logFile } = this.#options
    const log = openSync(logFile, 'a')
    const preload = new URL('./clock-preload.js', import.meta.url).href
    const child = spawn(process.execPath, ['--import', preload, programOf(this.#options)], {
      env: { PATH: process.env['PATH'] ?? '', ...environment, PORT: String(port) },
      stdio: ['ignore', log, log, 'ipc'],
    })
    closeSync(log)
    return child
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

import { execFile, fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { HttpLoad } from './load-http.js'
import type { LoadResult } from './load-result.js'
import type { SqlLoad } from './load-sql.js'

const startTimeoutMs = 60_000
const stopTimeoutMs = 30_000

const fileOf = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url))

const poll = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 50))

/** A helper process of ours that tells its URL when it listens. */
export async function startHelper(
  name: 'bare-server' | 'ceiling-server',
  args: readonly string[],
): Promise<{ url: string; stop(): Promise<void> }> {
  const child = fork(fileOf(name), args, { env: { ...process.env, NODE_ENV: 'production' } })
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended before it listened`))),
  ])
  return { url: (message as { url: string }).url, stop: () => stop(child, 'SIGKILL') }
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  await exited
  clearTimeout(timer)
}

/** Runs a load in a process of its own. Throws where anything but a success was answered. */
async function runLoad(name: 'load-http' | 'load-sql', load: HttpLoad | SqlLoad): Promise<LoadResult> {
  const child = fork(fileOf(name))
  child.send(load)
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended without a result`))),
  ])
  const result = message as LoadResult
  if (result.failure !== null)
    throw new Error(`The load on ${'url' in load ? load.url : 'SQL'} failed: ${result.failure}`)
  return result
}

export const httpLoad = (load: HttpLoad): Promise<LoadResult> => runLoad('load-http', load)
export const sqlLoad = (load: SqlLoad): Promise<LoadResult> => runLoad('load-sql', load)

export interface Service {
  readonly origin: string
  stop(): Promise<void>
}

function distFile(name: string): string {
  const path = fileURLToPath(new URL(`../../../dist/${name}`, import.meta.url))
  if (!existsSync(path)) throw new Error(`There is no dist/${name}: run \`npm run build\` first.`)
  return path
}

const environmentOf = (dataDir: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  DATA_DIR: dataDir,
})

/** The JSON that a `hyrelog` command on that data directory answers with. */
export async function runCli(dataDir: string, args: readonly string[]): Promise<Record<string, string>> {
  const command = [distFile('cli/main.js'), ...args]
  const { stdout } = await promisify(execFile)(process.execPath, command, { env: environmentOf(dataDir) })
  return JSON.parse(stdout) as Record<string, string>
}

/** The service itself, as `npm start` runs it, on a data directory and port of its own. */
export async function startService(dataDir: string, port: number): Promise<Service> {
  const child = spawn(process.execPath, [distFile('main.js')], {
    env: {
      ...environmentOf(dataDir),
      PORT: String(port),
      SEED_DEMO: 'false',
      NODE_ENV: 'production',
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const origin = `http://127.0.0.1:${port}`
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('The service ended while starting.')
    const answer = await fetch(`${origin}/readyz`).catch(() => null)
    if (answer?.ok === true) break
    if (Date.now() > deadline) {
      await stop(child, 'SIGTERM')
      throw new Error(`The service was not ready within ${startTimeoutMs} ms.`)
    }
    await poll()
  }
  return { origin, stop: () => stop(child, 'SIGTERM') }
}

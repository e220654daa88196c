import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually } from './eventually.js'

/** Whether this machine has a Redis to test with (Debian: redis-server). */
export const hasRedis = ((): boolean => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

/** Ends the names of tests that need one. */
export const needsRedis = hasRedis
  ? ''
  : ' (NOT TESTED: there is no redis-server on this machine; apt install redis-server)'

/** A real Redis of a test's own, on a port of its own: to be stopped in its tracks, killed, filled, and looked into. */
export class TestRedis {
  readonly #port: number
  readonly #folder: string
  #server: ChildProcess | undefined
  /** What a thief of the server would use. */
  readonly client: Redis

  private constructor(port: number, folder: string) {
    this.#port = port
    this.#folder = folder
    this.client = new Redis(port, '127.0.0.1', { lazyConnect: true, maxRetriesPerRequest: null })
    this.client.on('error', () => undefined)
  }

  static async start(): Promise<TestRedis> {
    const redis = new TestRedis(await freePort(), await mkdtemp(join(tmpdir(), 'hyrelog-redis-')))
    await redis.run()
    return redis
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}/0`
  }

  /** Starts the server, empty. */
  async run(): Promise<void> {
    const args = ['--port', String(this.#port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    this.#server = spawn('redis-server', [...args, '--dir', this.#folder], { stdio: 'ignore' })
    if (this.client.status === 'wait') await this.client.connect().catch(() => undefined)
    await eventually('redis answers', async () => (await this.client.ping()) === 'PONG')
  }

  /** It stops in its tracks: connections stay, and nothing is answered. */
  hang(): void {
    this.#server!.kill('SIGSTOP')
  }

  resume(): void {
    this.#server!.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    const server = this.#server!
    if (server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGKILL')
    await exited
  }

  /** Everything that it holds: names, and values as they are. */
  async dump(): Promise<{ readonly where: string; readonly bytes: Buffer }[]> {
    const found: { where: string; bytes: Buffer }[] = []
    for (const key of await this.client.keys('*')) {
      found.push({ where: 'a key', bytes: Buffer.from(key) })
      if ((await this.client.type(key)) !== 'hash') continue
      const fields = await this.client.hgetallBuffer(key)
      for (const [field, bytes] of Object.entries(fields))
        found.push({ where: 'a field', bytes: Buffer.from(field) }, { where: field, bytes })
    }
    return found
  }

  async stop(): Promise<void> {
    this.client.disconnect()
    this.resume()
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no free port')
  return address.port
}

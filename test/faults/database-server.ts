import { execFileSync, spawnSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startEmbeddedServer, type EmbeddedServer } from '../../src/db/embedded/embedded-server.js'
import { TcpProxy } from '../harness/tcp-proxy.js'
import { makePasswords } from '../harness/data-folder.js'

const startAttempts = 10
/** Of a file system of a server's own. Its pages are memory, and only those that are used. */
const diskBytes = 8 * 1024 ** 3
/** Between looking at how full a disk is and making that its size the server may write something. */
const fillAttempts = 20
const fillSpareBytes = 65_536

export interface DatabaseServerOptions {
  readonly name: string
  /** A folder that others may pass through; the data directory is below it. */
  readonly folder: string
  readonly logFile: string
  readonly settings: Readonly<Record<string, string>>
  /** Gives it a small file system of its own, which can then be full. Needs {@link canMount}. */
  readonly ownDisk: boolean
}

/** True where this process may mount something, in a mount namespace of its own best. */
export function canMount(): boolean {
  return process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true'], { stdio: 'ignore' }).status === 0
}

/** A real PostgreSQL server behind a proxy, with what can go wrong with it. */
export class DatabaseServer {
  readonly name: string
  readonly proxy: TcpProxy
  readonly #options: DatabaseServerOptions
  readonly #secrets: ReturnType<typeof makePasswords>
  #server: EmbeddedServer

  private constructor(
    options: DatabaseServerOptions,
    secrets: ReturnType<typeof makePasswords>,
    server: EmbeddedServer,
    proxy: TcpProxy,
  ) {
    this.name = options.name
    this.#options = options
    this.#secrets = secrets
    this.#server = server
    this.proxy = proxy
  }

  static async start(options: DatabaseServerOptions): Promise<DatabaseServer> {
    await mkdir(options.folder, { recursive: true })
    if (options.ownDisk) mount(options.folder, ['-t', 'tmpfs', '-o', `size=${diskBytes},mode=711`, 'tmpfs'])
    await chmod(options.folder, 0o711)
    const secrets = makePasswords()
    const server = await launch(options, secrets)
    return new DatabaseServer(options, secrets, server, await TcpProxy.before(server.url('service')))
  }

  /** As the service or the owner of the tables reaches it: by way of the proxy. */
  urlFor(role: 'service' | 'owner'): string {
    return this.proxy.urlFor(this.#server.url(role))
  }

  /** Past the proxy, for whoever checks. */
  get superuserUrl(): string {
    return this.#server.url('superuser')
  }

  /** Ends every process of it at once, as a power failure would, except that the operating system lives on. */
  kill(): void {
    this.#signal('SIGKILL')
  }

  /** Stops every process of it in its tracks. */
  pause(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  /** Nothing more fits on its disk. */
  fillDisk(): void {
    for (let attempt = 0; ; attempt++) {
      const { bsize, blocks, bfree } = statfsSync(this.#options.folder)
      try {
        this.#resizeDisk((blocks - bfree) * bsize + attempt * fillSpareBytes)
        return
      } catch (error) {
        if (attempt === fillAttempts) throw error
      }
    }
  }

  /** Its disk has room again. */
  freeDisk(): void {
    this.#resizeDisk(diskBytes)
  }

  /** Starts it where it does not run: it was killed, or gave up on a full disk. */
  async revive(): Promise<void> {
    if (this.#server.running()) return
    this.#server = await launch(this.#options, this.#secrets, this.#server.port)
  }

  async stop(): Promise<void> {
    await this.proxy.close()
    await this.#server.stop()
    if (this.#options.ownDisk) spawnSync('umount', ['-l', this.#options.folder], { stdio: 'ignore' })
  }

  #signal(name: NodeJS.Signals): void {
    const { pid } = this.#server
    // Each backend is a session of its own: a signal to the group would reach the postmaster alone.
    for (const one of [pid, ...childrenOf(pid)]) {
      try {
        process.kill(one, name)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
  }

  #resizeDisk(bytes: number): void {
    mount(this.#options.folder, ['-o', `remount,size=${bytes}`])
  }
}

function mount(folder: string, args: readonly string[]): void {
  execFileSync('mount', [...args, folder], { stdio: ['ignore', 'ignore', 'pipe'] })
}

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  return stdout.trim().split(/\s+/).filter(Boolean).map(Number)
}

async function launch(
  { name, folder, logFile, settings }: DatabaseServerOptions,
  secrets: ReturnType<typeof makePasswords>,
  port?: number,
): Promise<EmbeddedServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startEmbeddedServer({
        name,
        directory: join(folder, 'data'),
        secrets,
        logFile,
        settings,
        ...(port === undefined ? {} : { port }),
      })
    } catch (error) {
      if (attempt === startAttempts) throw error
    }
  }
}

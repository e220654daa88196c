import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/**
 * `refuse`: connections end and new ones are refused. `hang`: all stay, new ones too, and nothing moves. `slow`: every
 * chunk is late. `lose-commits`: every second COMMIT gets through and its answer does not; the connection ends then, or,
 * every other time, stays and says nothing more.
 */
export type ProxyMode = 'pass' | 'refuse' | 'hang' | 'slow' | 'lose-commits'

// A simple query of nothing but "commit", as the service ends its transactions.
const commitMessage = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1')
/** Enough for the server to have carried a COMMIT out before its connection ends. */
const lossMs = 30

/** One direction of one connection: what is late stays in order, whatever the delay becomes meanwhile. */
class Lane {
  readonly #target: Socket
  #late: { readonly chunk: Buffer; readonly dueMs: number }[] = []

  constructor(target: Socket) {
    this.#target = target
  }

  write(chunk: Buffer, delayMs: number): void {
    if (delayMs === 0 && this.#late.length === 0) {
      this.#target.write(chunk)
      return
    }
    this.#late.push({ chunk, dueMs: performance.now() + delayMs })
    if (this.#late.length === 1) this.#wait()
  }

  #wait(): void {
    const next = this.#late[0]
    if (next === undefined) return
    setTimeout(
      () => {
        this.#late.shift()
        if (!this.#target.destroyed) this.#target.write(next.chunk)
        this.#wait()
      },
      Math.max(0, next.dueMs - performance.now()),
    )
  }
}

/** Those of this test file. */
const proxies = new Set<TcpProxy>()

/**
 * A stretch of network between the service and a database, which can be cut or go silent while the database itself goes
 * on: the failures that stopping a server can't show.
 */
export class TcpProxy {
  readonly #server: Server
  readonly #target: { readonly host: string; readonly port: number }
  readonly #clients = new Set<Socket>()
  /** The database's sides, each with the service's. */
  readonly #upstreams = new Map<Socket, Socket>()
  /** Connections that ended here, in the middle: the database is not to notice. */
  readonly #severed = new Set<Socket>()
  #port = 0
  #mode: ProxyMode = 'refuse'
  #delayMs = 0
  #commits = 0
  #receivedBytes = 0

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target
    this.#server = createServer((client) => this.#join(client))
    proxies.add(this)
  }

  /** A proxy before the server that this URL names. */
  static async before(databaseUrl: string): Promise<TcpProxy> {
    const { hostname, port } = new URL(databaseUrl)
    const proxy = new TcpProxy({ host: hostname, port: Number(port) })
    await proxy.set('pass')
    return proxy
  }

  /** What clients have sent so far, all together. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** The same database by way of this proxy. */
  urlFor(databaseUrl: string): string {
    const through = new URL(databaseUrl)
    through.hostname = '127.0.0.1'
    through.port = String(this.#port)
    return through.href
  }

  /** `delayMs` is how late a chunk is where the mode is `slow`. */
  async set(mode: ProxyMode, delayMs = 100): Promise<void> {
    const before = this.#mode
    this.#mode = mode
    this.#delayMs = mode === 'slow' ? delayMs : 0
    if (mode === 'refuse' && before !== 'refuse') {
      const closed = new Promise((resolve) => this.#server.close(resolve))
      this.cut()
      await closed
    }
    if (mode !== 'refuse' && before === 'refuse') await this.#listen()
    for (const socket of [...this.#clients, ...this.#upstreams.keys()]) {
      if (mode === 'hang') socket.pause()
      else socket.resume()
    }
  }

  /** Ends what the service sees of every connection; the database's side stays open, and new ones are possible. */
  cut(): void {
    for (const client of this.#clients) this.#sever(client)
  }

  async close(): Promise<void> {
    await this.set('refuse')
    for (const upstream of this.#upstreams.keys()) upstream.destroy()
    proxies.delete(this)
  }

  /**
   * Ends connections that only the database still has. One that waits for the rest of a message answers nothing, not even
   * a server that wants to drop another database.
   */
  static endAbandoned(): void {
    for (const proxy of proxies)
      for (const [upstream, client] of proxy.#upstreams)
        // Of a connection that hangs nobody can tell whether it is one.
        if (client.destroyed || proxy.#mode === 'hang') upstream.destroy()
  }

  #sever(client: Socket): void {
    this.#severed.add(client)
    client.destroy()
  }

  #join(client: Socket): void {
    const upstream = connect(this.#target)
    this.#clients.add(client)
    this.#upstreams.set(upstream, client)
    const up = new Lane(upstream)
    const down = new Lane(client)
    let isLost = false
    client.on('data', (chunk: Buffer) => {
      this.#receivedBytes += chunk.length
      if (this.#mode === 'lose-commits' && chunk.includes(commitMessage) && ++this.#commits % 2 === 1) {
        isLost = true
        if (this.#commits % 4 === 1) setTimeout(() => this.#sever(client), lossMs)
      }
      up.write(chunk, this.#delayMs)
    })
    upstream.on('data', (chunk: Buffer) => {
      if (!isLost) down.write(chunk, this.#delayMs)
    })
    if (this.#mode === 'hang') for (const socket of [client, upstream]) socket.pause()
    // A failing side is what this is for; the other learns of it by its own means.
    client.on('error', () => undefined)
    upstream.on('error', () => undefined)
    client.on('end', () => upstream.end())
    client.on('close', () => {
      this.#clients.delete(client)
      // A process that was killed has its connections ended by its operating system, and the database hears of it.
      if (!this.#severed.delete(client) && this.#mode !== 'hang') upstream.end()
    })
    upstream.on('close', () => {
      this.#upstreams.delete(upstream)
      client.destroy()
    })
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject)
        this.#port = (this.#server.address() as AddressInfo).port
        resolve()
      })
    })
  }
}

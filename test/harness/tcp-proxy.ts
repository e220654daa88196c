import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** `refuse`: connections end and new ones are refused. `hang`: all stay, new ones too, and nothing moves. */
export type ProxyMode = 'pass' | 'refuse' | 'hang'

/**
 * A stretch of network between the service and a database, which can be cut or go silent while the database itself goes
 * on: the failures that stopping a server can't show.
 */
export class TcpProxy {
  readonly #server: Server
  readonly #target: { readonly host: string; readonly port: number }
  readonly #clients = new Set<Socket>()
  readonly #upstreams = new Set<Socket>()
  #port = 0
  #mode: ProxyMode = 'refuse'
  #receivedBytes = 0

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target
    this.#server = createServer((client) => this.#join(client))
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

  async set(mode: ProxyMode): Promise<void> {
    const before = this.#mode
    this.#mode = mode
    if (mode === 'refuse' && before !== 'refuse') {
      const closed = new Promise((resolve) => this.#server.close(resolve))
      this.cut()
      await closed
    }
    if (mode !== 'refuse' && before === 'refuse') await this.#listen()
    for (const socket of [...this.#clients, ...this.#upstreams]) {
      if (mode === 'hang') socket.pause()
      else socket.resume()
    }
  }

  /** Ends what the service sees of every connection; the database's side stays open, and new ones are possible. */
  cut(): void {
    for (const client of this.#clients) client.destroy()
  }

  async close(): Promise<void> {
    await this.set('refuse')
    for (const upstream of this.#upstreams) upstream.destroy()
  }

  #join(client: Socket): void {
    const upstream = connect(this.#target)
    this.#clients.add(client)
    this.#upstreams.add(upstream)
    client.on('data', (chunk) => {
      this.#receivedBytes += chunk.length
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => client.write(chunk))
    if (this.#mode === 'hang') for (const socket of [client, upstream]) socket.pause()
    // A failing side is what this is for; the other learns of it by its own means.
    client.on('error', () => undefined)
    upstream.on('error', () => undefined)
    client.on('end', () => upstream.end())
    client.on('close', () => this.#clients.delete(client))
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

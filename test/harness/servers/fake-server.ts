import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server in this process, for what no server that can be had does. */
export abstract class FakeServer {
  readonly #server = createServer((request, response) => void this.#receive(request, response))

  /** Begins to serve, on a port of its own. */
  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  /** Answers a request that came in whole. */
  protected abstract serve(request: IncomingMessage, body: Buffer, response: ServerResponse): void

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      // The client went away in the middle: nothing was asked.
      return
    }
    this.serve(request, Buffer.concat(chunks), response)
  }
}

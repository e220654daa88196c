// A process: the load generator. Keep-alive HTTP/1.1 over plain sockets, each sending its next request when the answer
// to the last is in; prepared requests and a parser for nothing but Content-Length, so that it costs as little of the
// shared cores as can be.
import { connect, type Socket } from 'node:net'
import { resultOf, type LoadResult } from './load-result.js'

export interface HttpLoad {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent in turn, over and over. */
  readonly bodies: readonly string[]
  readonly connections: number
  /** Requests answered before are not counted. */
  readonly warmUpMs: number
  readonly durationMs: number
}

const headerEnd = Buffer.from('\r\n\r\n')

function requestsOf(load: HttpLoad): Buffer[] {
  const { host, pathname } = new URL(load.url)
  const fixed = Object.entries({ host, 'content-type': 'application/json', ...load.headers })
  const head = `POST ${pathname} HTTP/1.1\r\n${fixed.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`
  return load.bodies.map((body) => Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`))
}

/** Runs the load to its end. */
function runHttpLoad(load: HttpLoad): Promise<LoadResult> {
  const requests = requestsOf(load)
  const { hostname, port } = new URL(load.url)
  const latenciesMs: number[] = []
  const sockets: Socket[] = []
  let next = 0
  const countFrom = performance.now() + load.warmUpMs
  const end = countFrom + load.durationMs
  return new Promise((resolve) => {
    let open = load.connections
    let failure: string | null = null
    const finish = (socket: Socket): void => {
      socket.destroy()
      if (--open === 0) resolve(resultOf(latenciesMs, load.durationMs, failure))
    }
    const fail = (reason: string): void => {
      failure ??= reason
      for (const socket of sockets) socket.destroy()
      open = 0
      resolve(resultOf(latenciesMs, load.durationMs, failure))
    }
    for (let index = 0; index < load.connections; index++) {
      const socket = connect({ host: hostname, port: Number(port), noDelay: true })
      sockets.push(socket)
      let received: Buffer = Buffer.alloc(0)
      let sentAt = 0
      const send = (): void => {
        sentAt = performance.now()
        socket.write(requests[next++ % requests.length] ?? '')
      }
      socket.once('connect', send)
      socket.once('error', (error) => fail(String(error)))
      socket.on('data', (chunk) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
        const headEnd = received.indexOf(headerEnd)
        if (headEnd === -1) return
        const head = received.toString('latin1', 0, headEnd)
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
        if (Number.isNaN(length)) return fail(`an answer without a length: ${head}`)
        if (received.length < headEnd + 4 + length) return undefined
        const now = performance.now()
        const body = received.subarray(headEnd + 4)
        if (!head.startsWith('HTTP/1.1 200') || body.includes('"errors"'))
          return fail(`${head.split('\r\n')[0] ?? ''}: ${body.toString('utf8', 0, 500)}`)
        if (now >= countFrom && now < end) latenciesMs.push(now - sentAt)
        received = Buffer.alloc(0)
        return now >= end ? finish(socket) : send()
      })
    }
  })
}

process.once('message', (load) => {
  void runHttpLoad(load as HttpLoad).then((result) => process.send?.(result, () => process.disconnect()))
})

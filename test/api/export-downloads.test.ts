import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorld, type World } from '../harness/app.js'
import { event, events } from '../harness/checkpoints.js'
import { eventually } from '../harness/eventually.js'
import { download, exported, look, request, settled } from '../harness/exports.js'
import { type SettableClock, settableClock } from '../harness/settable-clock.js'

let world: World
let clock: SettableClock
beforeAll(async () => {
  clock = settableClock()
  world = await createWorld({ clock })
  await world.record(world.acme.in.EU, events(300))
  await world.record(world.acme.in.US, events(10))
})
afterAll(() => world?.close())

describe('a download', () => {
  test('goes on from any byte, and is told when there is no such part', async () => {
    const { text, about } = await exported(world, world.acme.in.EU)
    const bytes = Buffer.from(text)
    const whole = await download(world, about.downloadUrl!)
    expect(whole.headers.get('content-disposition')).toBe(`attachment; filename="${about.id}.ndjson"`)
    expect(whole.headers.get('cache-control')).toContain('no-store')
    expect(whole.headers.get('x-content-sha256')).toBe(about.sha256)
    expect(whole.headers.get('content-length')).toBe(String(bytes.length))
    await whole.body?.cancel()
    for (const [range, start, end] of [
      ['bytes=1000-', 1000, bytes.length],
      ['bytes=0-0', 0, 1],
      ['bytes=-7', bytes.length - 7, bytes.length],
      [`bytes=5-${bytes.length + 9}`, 5, bytes.length],
    ] as const) {
      const part = await download(world, about.downloadUrl!, { range })
      expect(part.status).toBe(206)
      expect(part.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${bytes.length}`)
      expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(start, end))).toBe(true)
    }
    const beyond = await download(world, about.downloadUrl!, { range: `bytes=${bytes.length}-` })
    expect(beyond.status).toBe(416)
    expect(beyond.headers.get('content-range')).toBe(`bytes */${bytes.length}`)
    const head = await fetch(new URL(about.downloadUrl!, world.url), { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)])
    expect(await head.text()).toBe('')
    const changed = await download(world, about.downloadUrl!, { range: 'bytes=5-', 'if-range': '"another"' })
    expect(changed.status).toBe(200)
    await changed.body?.cancel()
  })

  test('is refused where the link is forged, altered or over, with nothing of the file', async () => {
    const { about } = await exported(world, world.acme.in.EU)
    const { about: other } = await exported(world, world.acme.in.US)
    const link = about.downloadUrl!
    const forged = [
      link.replace(about.id, other.id),
      link.replace(/expires=\d+/, 'expires=99999999999'),
      link.replace(/signature=./, (found) => `signature=${found.endsWith('A') ? 'B' : 'A'}`),
      link.replace(/&signature=.*/, ''),
      link.replace(/\?.*/, ''),
      `${link}&expires=1`,
      link.replace(/signature=.*/, 'signature='),
    ]
    for (const url of forged) {
      const answer = await download(world, url)
      expect(answer.status, url).toBe(403)
      const body = (await answer.json()) as { errors: { extensions: { code: string } }[] }
      expect(body.errors[0]!.extensions.code).toBe('FORBIDDEN')
      expect(JSON.stringify(body)).not.toContain('body')
    }
    clock.advance(16 * 60_000)
    expect((await download(world, link)).status).toBe(403)
    const renewed = await look(world, world.acme.key, about.id)
    expect((await download(world, renewed!.downloadUrl!)).status).toBe(200)
  })

  test('holds next to nothing in memory for a client that does not read', async () => {
    const workspace = world.acme.in.APAC
    const bulk = 'x'.repeat(40_000)
    for (let n = 0; n < 20; n++)
      await world.record(
        workspace,
        Array.from({ length: 40 }, () => ({ ...event(n), payload: { bulk } })),
      )
    const { id } = await request(world, workspace)
    const about = await settled(world, workspace.key, id)
    expect(about.sizeBytes).toBeGreaterThan(30_000_000)
    const { hostname, port } = new URL(world.url)
    const before = process.memoryUsage()
    const socket = connect(Number(port), hostname)
    socket.pause()
    socket.write(`GET ${about.downloadUrl!} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`)
    await eventually('the download to begin', async () => (await openConnections()) > 0)
    let largest = 0
    const until = performance.now() + 1_000
    await eventually('a second of silence', () => {
      const { arrayBuffers, external } = process.memoryUsage()
      largest = Math.max(largest, arrayBuffers + external - before.arrayBuffers - before.external)
      return performance.now() > until
    })
    // Half of the file; what is measured has noise of a few megabytes.
    expect(largest).toBeLessThan(16_000_000)
    const hash = createHash('sha256')
    let received = 0
    let inBody = false
    let start = Buffer.alloc(0)
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      let part = chunk
      if (!inBody) {
        start = Buffer.concat([start, chunk])
        const end = start.indexOf('\r\n\r\n')
        if (end < 0) continue
        inBody = true
        part = start.subarray(end + 4)
      }
      hash.update(part)
      received += part.length
    }
    expect(received).toBe(about.sizeBytes)
    expect(hash.digest('hex')).toBe(about.sha256)
  })
})

const openConnections = (): Promise<number> =>
  new Promise((resolve, reject) =>
    world.app.fastify.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  )

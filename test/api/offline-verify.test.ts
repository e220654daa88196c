import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ExportKey, verifyExport } from '../../src/sdk/index.js'
import { createWorld, type World } from '../harness/app.js'
import { events, logName } from '../harness/checkpoints.js'
import { type Cli, makeCli } from '../harness/cli.js'
import { eventually } from '../harness/eventually.js'
import { exported } from '../harness/exports.js'
import { ChainBuilder, LOG } from '../ledger/chain-builder.js'

let world: World
let cli: Cli
let folder: string
let keysFile: string
let keys: ExportKey[]
/** An export of the world's, and the file it is in. */
let text: string
let file: string

beforeAll(async () => {
  cli = makeCli()
  folder = await mkdtemp(join(tmpdir(), 'hyrelog-verify-'))
  world = await createWorld()
  const workspace = world.acme.in.EU
  await world.record(workspace, [
    ...events(30),
    {
      ...events(1)[0],
      actor: { id: 'u1', email: 'ü@example.com', name: '名前 👩‍🚀' },
      changes: [{ field: 'f', old: 1.5, new: null }],
    },
  ])
  text = (await exported(world, workspace)).text
  const published = await eventually('the key of EU', async () => {
    const answer = await (await fetch(new URL('/.well-known/hyrelog-keys.json', world.url))).text()
    return answer.includes('/EU"') && answer
  })
  keys = (JSON.parse(published) as { keys: ExportKey[] }).keys
  keysFile = await write('keys.json', published)
  file = await write('export.ndjson', text)
})
afterAll(async () => {
  cli?.remove()
  if (folder !== undefined) await rm(folder, { recursive: true })
  await world?.close()
})

async function write(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

const lines = (): string[] => text.trimEnd().split('\n')
const joined = (all: readonly string[]): string => `${all.join('\n')}\n`

async function* inPieces(bytes: Uint8Array, size = 4096): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
}
const verdictOf = (content: string | Buffer) => verifyExport(inPieces(Buffer.from(content)), { keys, logName })

describe('hyrelog verify', () => {
  test('verifies an export with the keys of the log, in one line', async () => {
    expect(await cli.run(['verify', '--keys', keysFile, file])).toEqual({
      code: 0,
      stdout: 'ok: whole up to 31\n',
      stderr: '',
    })
  })

  test('takes gzip by its content, and standard input', async () => {
    const packed = gzipSync(text)
    const named = await write('export.dat', packed)
    for (const [args, stdin] of [
      [[named], ''],
      [['-'], packed],
      [['-'], text],
    ] as const)
      expect(await cli.run(['verify', '--keys', keysFile, ...args], { stdin })).toMatchObject({ code: 0 })
  })

  test('of a gzip file that is cut or damaged says so', async () => {
    const packed = gzipSync(text)
    const cut = await cli.run(['verify', '--keys', keysFile, '-'], { stdin: packed.subarray(0, packed.length - 4) })
    expect(cut).toMatchObject({ code: 20, stdout: expect.stringContaining('incomplete') })
    const damaged = Buffer.from(packed)
    damaged[packed.length - 6]! ^= 1
    expect(await cli.run(['verify', '--keys', keysFile, '-'], { stdin: damaged })).toMatchObject({ code: 40 })
    const early = await cli.run(['verify', '-'], { stdin: packed.subarray(0, 40) })
    expect(early).toMatchObject({ code: 20 })
  })

  test('without --keys says that the signer is not pinned, whatever keys the file brings', async () => {
    const result = await cli.run(['verify', file])
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('signer not pinned') })
    expect(result.stderr).toContain('--keys')
  })

  test('refuses an export of another log, workspace or signer', async () => {
    expect(await cli.run(['verify', '--keys', keysFile, '--log', 'other.example', file])).toMatchObject({ code: 40 })
    const other = ['--workspace', '0195a1b2-0000-7000-8000-00000000a001']
    expect(await cli.run(['verify', '--keys', keysFile, ...other, file])).toMatchObject({ code: 40 })
    const strangers = keys.map((key) => ({ ...key, ed25519: 'ab'.repeat(32) }))
    const strange = await write('strange.json', JSON.stringify({ logName, keys: strangers }))
    expect(await cli.run(['verify', '--keys', strange, file])).toMatchObject({ code: 40 })
  })

  test('answers in JSON where that is asked for', async () => {
    const { code, stdout } = await cli.run(['verify', '--json', '--keys', keysFile, file])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      outcome: 'OK',
      exitCode: 0,
      checkedEvents: 31,
      checkpoint: { origin: `${logName}/ws/${world.acme.in.EU.id}`, treeSize: 31, signerPinned: true },
    })
  })

  test('of an export with erasures answers 10, whole or in part', async () => {
    const chain = new ChainBuilder().addMany(40).erase([3, 7, 8]).addMany(20)
    const given = chain.publicKeys().map(({ name, publicKey }) => ({ name, ed25519: publicKey.toString('hex') }))
    const own = await write('own-keys.json', JSON.stringify({ logName: LOG, keys: given }))
    for (const content of [chain.export(), await chain.exportPart(5, 12)]) {
      const result = await cli.run(['verify', '--keys', own, '-'], { stdin: joined(content) })
      expect(result).toMatchObject({ code: 10, stdout: expect.stringMatching(/^ok with erasures: .*with erasures/) })
    }
  })

  test('explains what it can not use', async () => {
    expect(await cli.run(['verify', join(folder, 'absent')])).toMatchObject({ code: 3 })
    expect(await cli.run(['verify', '--keys', file, file])).toMatchObject({ code: 2 })
    expect(await cli.run(['verify', '--keys', join(folder, 'absent'), file])).toMatchObject({ code: 2 })
    expect(await cli.run(['verify', '--seen', keysFile, file])).toMatchObject({ code: 2 })
    expect(await cli.run(['verify'])).toMatchObject({ code: 2 })
    expect((await cli.run(['verify', '--help'])).stdout).toContain('Exit codes')
  })
})

describe('--seen', () => {
  const chain = (seed: number, size: number) => {
    const builder = new ChainBuilder()
    for (let n = 0; n < size; n++) builder.add({ payload: { n, history: n < 10 ? 0 : seed } }, { id: idOf(n) })
    return builder
  }
  const idOf = (n: number) => `0195a1b2-0000-7000-9000-${String(n).padStart(12, '0')}`

  async function setUp(name: string) {
    const one = chain(1, 30)
    const given = one
      .publicKeys()
      .map(({ name: key, publicKey }) => ({ name: key, ed25519: publicKey.toString('hex') }))
    const own = await write(`${name}-keys.json`, JSON.stringify({ logName: LOG, keys: given }))
    const seen = join(folder, `${name}-seen.json`)
    const run = (content: readonly string[], pinned = true) =>
      cli.run(['verify', '--seen', seen, ...(pinned ? ['--keys', own] : []), '-'], { stdin: joined(content) })
    return { run, seen, one }
  }

  test('keeps the newest checkpoint, and finds a log that was set back incomplete', async () => {
    const { run, seen, one } = await setUp('set-back')
    expect(await run(one.export())).toMatchObject({ code: 0 })
    expect(await run(one.addMany(5).export())).toMatchObject({ code: 0 })
    const kept = JSON.parse(await readFile(seen, 'utf8')) as { checkpoints: { treeSize: number }[] }
    expect(kept.checkpoints.map(({ treeSize }) => treeSize)).toEqual([35])
    expect(await run(chain(1, 20).export())).toMatchObject({ code: 20, stdout: expect.stringContaining('35') })
    expect(JSON.parse(await readFile(seen, 'utf8'))).toEqual(kept)
  })

  test('finds two histories to be a fork, of one size or of two', async () => {
    for (const size of [30, 50]) {
      const { run, one } = await setUp(`fork-${size}`)
      // The same events up to the tenth, others after.
      const other = chain(2, size)
      expect(other.rootAt(30).equals(one.rootAt(30))).toBe(false)
      expect(await run(one.export())).toMatchObject({ code: 0 })
      expect(await run(other.export())).toMatchObject({ code: 30, stdout: expect.stringMatching(/^fork: /) })
      expect(await run(other.export(), false)).toMatchObject({ code: 30 })
    }
  })

  test('takes no word of an unpinned signer against a pinned one', async () => {
    const { run, one } = await setUp('unpinned')
    expect(await run(chain(2, 60).export(), false)).toMatchObject({ code: 0 })
    expect(await run(one.export())).toMatchObject({ code: 0 })
  })
})

describe('an altered export', () => {
  // Deterministic, so that a byte that goes unnoticed can be looked at again.
  let state = 20_261_122
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }

  test('of which one byte was changed is never ok, wherever it is', async () => {
    const bytes = Buffer.from(text)
    const unnoticed: string[] = []
    for (let n = 0; n < 400; n++) {
      const altered = Buffer.from(bytes)
      // Half of them in the last line, which is a small part of the whole.
      const lastLine = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1
      const at = n % 2 === 0 ? random(bytes.length) : lastLine + random(bytes.length - lastLine)
      altered[at]! ^= 1 << random(8)
      const { outcome } = await verdictOf(altered)
      if (outcome.startsWith('OK')) unnoticed.push(`${at}: ${altered.subarray(at - 20, at + 20).toString()}`)
    }
    expect(unnoticed).toEqual([])
  })

  test('of which every byte of a line was changed in turn is never ok', async () => {
    const [first, ...rest] = lines()
    const head = Buffer.from(first!)
    for (let at = 0; at < head.length; at++) {
      const altered = Buffer.from(head)
      altered[at]! ^= 1
      const { outcome } = await verdictOf(Buffer.concat([altered, Buffer.from(`\n${joined(rest)}`)]))
      expect(['INVALID', 'INCOMPLETE'], `byte ${at}`).toContain(outcome)
    }
  })

  const swapped = (all: string[], a: number, b: number): string[] =>
    all.map((line, at) => (at === a ? all[b]! : at === b ? all[a]! : line))

  test.each([
    ['a line was dropped in the middle', (all: string[]) => all.toSpliced(7, 1), 20],
    ['the first line was dropped', (all: string[]) => all.slice(1), 20],
    ['the last event was dropped', (all: string[]) => all.toSpliced(-2, 1), 20],
    ['the checkpoint was dropped', (all: string[]) => all.slice(0, -1), 20],
    ['everything was dropped', () => [''], 20],
    ['all events were dropped', (all: string[]) => all.slice(-1), 20],
    ['two lines were swapped', (all: string[]) => swapped(all, 4, 5), 20],
    ['the checkpoint stands first', (all: string[]) => [all.at(-1)!, ...all.slice(0, -1)], 40],
    ['a line is there twice', (all: string[]) => all.toSpliced(9, 0, all[9]!), 20],
    ['the last event is there twice', (all: string[]) => all.toSpliced(-1, 0, all.at(-2)!), 20],
    ['a line follows the checkpoint', (all: string[]) => [...all, all[0]!], 40],
    ['a value was replaced', (all: string[]) => all.with(5, all[5]!.replace('"value":5', '"value":6')), 40],
    [
      'a disclosure was left out',
      (all: string[]) => all.with(5, all[5]!.replace(/"disclosures":\[.*?\],"tomb/, '"disclosures":[],"tomb')),
      40,
    ],
  ] as const)('where %s', async (_, alter, code) => {
    const result = await cli.run(['verify', '--keys', keysFile, '-'], { stdin: joined(alter(lines())) })
    expect([20, 40]).toContain(result.code)
    expect(result, result.stdout).toMatchObject({ code })
  })

  test('that was cut anywhere is incomplete', async () => {
    const bytes = Buffer.from(text)
    for (let n = 0; n < 100; n++) {
      const at = random(bytes.length - 1)
      expect((await verdictOf(bytes.subarray(0, at))).outcome, `cut at ${at}`).toBe('INCOMPLETE')
    }
  })
})

describe('verifyExport', () => {
  test('takes texts, bytes and streams, cut anywhere', async () => {
    const bytes = Buffer.from(text)
    for (const size of [1, 7, 1000]) {
      async function* texts() {
        for (let at = 0; at < text.length; at += size) yield await Promise.resolve(text.slice(at, at + size))
      }
      expect(await verifyExport(texts(), { keys, logName })).toMatchObject({ outcome: 'OK' })
      expect(await verifyExport(inPieces(bytes, size), { keys, logName })).toMatchObject({ outcome: 'OK' })
    }
    const stream = new Blob([text]).stream()
    expect(await verifyExport(stream, { keys, logName })).toMatchObject({ outcome: 'OK', checkedEvents: 31 })
  })

  test('throws what the source throws, and stops when it is told to', async () => {
    async function* failing(): AsyncGenerator<string> {
      yield await Promise.resolve(text.slice(0, 10))
      throw new Error('the disk is gone')
    }
    await expect(verifyExport(failing())).rejects.toThrow('the disk is gone')
    await expect(
      verifyExport(inPieces(Buffer.from(text)), { signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough')
  })

  test('refuses keys that are none', async () => {
    await expect(verifyExport(inPieces(Buffer.from(text)), { keys: [{ name: 'x', ed25519: 'y' }] })).rejects.toThrow(
      TypeError,
    )
  })
})

describe('hyrelog export', () => {
  const env = () => ({ HYRELOG_ENDPOINT: world.url, HYRELOG_API_KEY: world.acme.in.EU.key })

  test('writes what verifies, to a file or to standard output', async () => {
    const path = join(folder, 'own.ndjson')
    const result = await cli.run(['export', '--workspace', world.acme.in.EU.gid, '-o', path], { env: env() })
    expect(result).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^31 events, \d+ bytes, sha256 [0-9a-f]{64}\n$/),
    })
    expect(await cli.run(['verify', '--keys', keysFile, path])).toMatchObject({ code: 0 })
    const piped = await cli.run(['export'], { env: env() })
    expect(piped.stdout).toBe(await readFile(path, 'utf8'))
    expect(piped.stderr).toContain('31 events')
    const table = await cli.run(['export', '--format', 'csv'], { env: env() })
    expect(table.stdout.split('\r\n')[0]).toContain('actorEmail')
  })

  test('stops with a reason', async () => {
    const unknown = await cli.run(['export', '--key', 'hlk_ws_nonsense'], { env: env() })
    expect(unknown).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('UNAUTHENTICATED') })
    const company = await cli.run(['export', '--key', world.acme.key], { env: env() })
    expect(company).toMatchObject({ code: 3, stderr: expect.stringContaining('--workspace') })
    const empty = await cli.run(['export', '--key', world.acme.in.APAC.key], { env: env() })
    expect(empty).toMatchObject({ code: 1, stderr: expect.stringContaining('no event') })
    const foreign = await cli.run(['export', '--workspace', world.globex.in.EU.gid], { env: env() })
    expect(foreign).toMatchObject({ code: 3, stderr: expect.stringContaining('NOT_FOUND') })
    const nowhere = await cli.run(['export', '-o', join(folder, 'absent/x')], { env: env() })
    expect(nowhere).toMatchObject({ code: 3, stderr: expect.stringContaining('ENOENT') })
    expect(await cli.run(['export', '--format', 'xml'], { env: env() })).toMatchObject({ code: 2 })
  })

  test('goes on where the connection broke, and where a former run was interrupted', async () => {
    const workspace = world.acme.in.US
    const bulk = 'y'.repeat(20_000)
    for (let n = 0; n < 6; n++)
      await world.record(
        workspace,
        Array.from({ length: 50 }, () => ({ ...events(1)[0], payload: { bulk } })),
      )
    const breaking = await breakingProxy(new URL(world.url))
    try {
      const path = join(folder, 'broken.ndjson')
      const own = { HYRELOG_ENDPOINT: `${breaking.url}/graphql`, HYRELOG_API_KEY: workspace.key }
      // Too often for one run: what is there stays for the next.
      breaking.cutAfter(400_000, 0, 100)
      const first = await cli.run(['export', '-o', path], { env: own })
      expect(first).toMatchObject({ code: 3 })
      const part = (await readFile(`${path}.part`)).length
      expect(part).toBeGreaterThan(0)
      breaking.cutAfter(1_000_000, 2_000_000, 3)
      const second = await cli.run(['export', '-o', path], { env: own })
      expect(second).toMatchObject({ code: 0, stdout: expect.stringContaining('300 events') })
      expect(breaking.ranges()).toContain(`bytes=${part}-`)
      expect(await cli.run(['verify', '--keys', keysFile, path])).toMatchObject({ code: 0 })
      await expect(readFile(`${path}.part`)).rejects.toThrow('ENOENT')
      await expect(readFile(`${path}.part.json`)).rejects.toThrow('ENOENT')
    } finally {
      await breaking.close()
    }
  })
})

/** Passes requests on, and cuts downloads: each after so many bytes, a number of times. */
async function breakingProxy(target: URL) {
  let first = Number.POSITIVE_INFINITY
  let next = Number.POSITIVE_INFINITY
  let times = 0
  const ranges: (string | undefined)[] = []
  const server: Server = createServer((request, response) => {
    const isDownload = request.url!.startsWith('/v1/')
    if (isDownload) ranges.push(request.headers.range)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      void (async () => {
        const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers
        const answer = await fetch(new URL(request.url!, target), {
          method: request.method!,
          headers: headers as Record<string, string>,
          ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }),
        })
        const body = Buffer.from(await answer.arrayBuffer())
        response.writeHead(answer.status, {
          ...Object.fromEntries(answer.headers),
          'content-encoding': 'identity',
          'content-length': body.length,
        })
        if (!isDownload || times === 0) return response.end(body)
        times--
        const allowed = first
        first = next
        return response.write(body.subarray(0, allowed), () => response.destroy())
      })()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** `then` of 0: not a byte any more. */
    cutAfter(bytes: number, then: number, count: number) {
      first = bytes
      next = then
      times = count
    },
    ranges: () => ranges,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readRecords, totalBytes, type SourceRecord } from './ingest-source.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingest-source-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function file(name: string, content: string | Buffer): Promise<string> {
  await writeFile(join(folder, name), content)
  return join(folder, name)
}

async function read(files: readonly string[], stdin: Readable = Readable.from([])): Promise<SourceRecord[]> {
  const records: SourceRecord[] = []
  for await (const record of readRecords(files, undefined, stdin)) records.push(record)
  return records
}

const outcome = (record: SourceRecord): unknown =>
  'event' in record
    ? [record.at, record.event.action, record.event.idempotencyKey]
    : 'fault' in record
      ? [record.at, record.fault]
      : [record.at, record.unreadable]

const trail = JSON.stringify({
  Records: [
    { eventSource: 'iam.amazonaws.com', eventName: 'CreateUser', eventTime: '2023-07-10T12:00:00Z', eventID: 'a' },
    { eventSource: 'iam.amazonaws.com' },
    'text',
  ],
})

describe('readRecords', () => {
  test('tells CloudTrail from NDJSON, packed or not, and goes on after a file it can not read', async () => {
    const files = [
      await file('a.json', trail),
      await file('b.json.gz', gzipSync(trail)),
      await file('c.ndjson', '{"action":"x","idempotencyKey":"k"}\r\n\n[1]\nnot json\n{"action":"y"}'),
      await file('empty', ''),
      join(folder, 'absent.json'),
      folder,
      await file('cut.gz', gzipSync(trail.repeat(50)).subarray(0, 60)),
      await file('half.json', '{"Records": [{'),
      await file('digest.json', '{"Records": 3}'),
      await file('latin.ndjson', Buffer.from([0x22, 0xe4, 0x22, 0x0a])),
    ]
    const lacking = 'is not a CloudTrail record: it lacks eventSource, eventName or eventTime.'
    expect((await read(files)).map(outcome)).toEqual([
      ['a.json:1', 'iam:CreateUser', 'a'],
      ['a.json:2', lacking],
      ['a.json:3', lacking],
      ['b.json.gz:1', 'iam:CreateUser', 'a'],
      ['b.json.gz:2', lacking],
      ['b.json.gz:3', lacking],
      ['c.ndjson:1', 'x', 'k'],
      ['c.ndjson:3', 'is not a JSON object.'],
      ['c.ndjson:4', 'is not JSON.'],
      ['c.ndjson:5', 'y', undefined],
      ['absent.json', 'does not exist.'],
      [folder.slice(folder.lastIndexOf('/') + 1), 'is a folder, not a file.'],
      ['cut.gz', 'is not a whole gzip file.'],
      ['half.json', 'is not JSON.'],
      ['digest.json', 'has no list of Records, as a CloudTrail file has.'],
      ['latin.ndjson:1', 'is too long or not UTF-8.'],
    ])
  })

  test('refuses what parsing would change without a word', async () => {
    const files = [
      await file('twice.ndjson', '{"action":"x","action":"y"}\n{"action":"z","payload":{"n":9007199254740993}}\n'),
      await file('trail.json', trail.replace('"eventID":"a"', '"eventID":"a","eventID":"b"')),
    ]
    const records = await read(files)
    expect(records.map(({ at }) => at)).toEqual([
      'twice.ndjson:1',
      'twice.ndjson:2',
      'trail.json:1',
      'trail.json:2',
      'trail.json:3',
    ])
    expect(records[0]).toMatchObject({ fault: expect.stringContaining('action') })
    expect(records[1]).toMatchObject({ fault: expect.stringContaining('payload.n') })
    expect(records[2]).toMatchObject({ fault: expect.stringContaining('eventID') })
  })

  test('reads standard input that arrives byte by byte, gzip and multi-byte characters included', async () => {
    const bytes = gzipSync('{"action":"größer"}\n{"action":"kleiner"}\n')
    const stdin = Readable.from(Array.from(bytes, (byte) => Buffer.of(byte)))
    expect((await read(['-'], stdin)).map(outcome)).toEqual([
      ['stdin:1', 'größer', undefined],
      ['stdin:2', 'kleiner', undefined],
    ])
    expect(await totalBytes(['-'])).toBeNull()
  })

  test('equal timed lines get different keys, the same ones each time; lines without a time get none', async () => {
    const timed = '{"action":"x","occurredAt":"2023-07-10T12:00:00Z"}\n'
    const reordered = '{"occurredAt":"2023-07-10T12:00:00Z","action":"x"}\n'
    const path = await file('keys.ndjson', timed + reordered + '{"action":"x"}\n')
    const keys = (await read([path])).map((record) => ('event' in record ? record.event.idempotencyKey : 'fault'))
    expect(keys[0]).toMatch(/^content:[\w-]{43}:1$/)
    expect(keys[1]).toBe(keys[0]?.replace(/1$/, '2'))
    expect(keys[2]).toBeUndefined()
    expect((await read([path])).map(outcome)).toEqual((await read([path])).map(outcome))
  })

  test('bytesRead grows to the size of all files', async () => {
    const files = [await file('one.ndjson', '{"action":"x"}\n'), await file('two.json', trail)]
    const total = await totalBytes(files)
    expect((await read(files)).at(-1)?.bytesRead).toBe(total)
  })
})

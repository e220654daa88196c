import type { KeyObject } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { unwrapPending } from '../../src/failover/pending-write.js'
import { type Region, regions } from '../../src/kernel/region.js'
import { DirectoryKeyVault } from '../../src/sealing/key-vault.js'
import { blobKeyId, type BlobName } from '../../src/sealing/sealed-blob.js'
import { unwrapKey } from '../../src/sealing/subject-keys.js'
import { filesBelow, type Needle, NeedleSet, openBlobs } from './disk-scan.js'

/*
 * What somebody reads of a service who has all that is on its disk, with every key that is still there.
 */

type VaultOptions = ConstructorParameters<typeof DirectoryKeyVault>[0]

export interface Place {
  readonly where: string
  readonly bytes: Buffer
}

/** Statements as superuser on one database. */
export async function queryAt<Row extends object>(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(sql, [...values])).rows
  } finally {
    await client.end()
  }
}

/** Everything that every table of these databases holds, in every schema, as text. */
export async function tablesOf(urls: ReadonlyMap<string, string>): Promise<Place[]> {
  const found: Place[] = []
  for (const [name, url] of urls) {
    const tables = await queryAt<{ name: string }>(
      url,
      `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'm') and n.nspname not in ('information_schema')`,
    )
    for (const { name: table } of tables) {
      const [row] = await queryAt<{ text: string | null }>(
        url,
        `select string_agg(t::text, E'\\n') as text from ${table} t`,
      )
      found.push({ where: `${name}.${table}`, bytes: Buffer.from(row!.text ?? '', 'utf8') })
    }
  }
  return found
}

/** Which needles are in which of these places. */
export function hits(places: readonly Place[], wanted: readonly Needle[]): string[] {
  const set = new NeedleSet(wanted)
  return places.flatMap(({ where, bytes }) => [...set.placesIn(bytes).keys()].map(({ name }) => `${name} in ${where}`))
}

/** A key that sealed blobs, and for which region it is or was wrapped. */
export interface KeyPlace {
  readonly region: Region
  readonly id: string
  readonly company_id: string
  readonly blob: BlobName
}

/** Every subject key that the regions have, those of replicas too. */
export async function subjectKeysOf(urls: ReadonlyMap<string, string>): Promise<KeyPlace[]> {
  const all: KeyPlace[] = []
  for (const region of regions) {
    const rows = await queryAt<Omit<KeyPlace, 'region'>>(
      urls.get(region)!,
      'select id, company_id, blob from subject_key',
    )
    all.push(...rows.map((row) => ({ ...row, region })))
  }
  return all
}

/** The keys of dead letters, which no region has ever had; by the letter. */
export async function letterKeysOf(controlUrl: string): Promise<Map<string, KeyPlace[]>> {
  const rows = await queryAt<{
    id: string
    region: Region
    company_id: string
    identity_blob: Buffer
    content_blob: Buffer
  }>(controlUrl, 'select id, region, company_id, identity_blob, content_blob from dead_letter')
  return new Map(
    rows.map(({ id, region, company_id, identity_blob, content_blob }) => [
      id,
      (['identity', 'content'] as const).flatMap((blob) => {
        const bytes = blob === 'identity' ? identity_blob : content_blob
        return bytes === null ? [] : [{ region, company_id, blob, id: blobKeyId(bytes) }]
      }),
    ]),
  )
}

/** Ids of the keys of those whom these tags find as actors, at home and in dead letters. */
export async function keysOfActors(
  urls: ReadonlyMap<string, string>,
  letters: ReadonlyMap<string, readonly KeyPlace[]>,
  tags: readonly Needle[],
): Promise<Set<string>> {
  const own = new Set<string>()
  const bytes = tags.map((tag) => tag.bytes)
  const condition = 'actor_id_tag = any ($1) or actor_email_tag = any ($1)'
  const idsIn = async (database: string, table: string): Promise<string[]> =>
    (await queryAt<{ id: string }>(urls.get(database)!, `select id from ${table} where ${condition}`, [bytes])).map(
      ({ id }) => id,
    )
  for (const region of regions) for (const id of await idsIn(region, 'subject_key')) own.add(id)
  for (const id of await idsIn('CONTROL', 'dead_letter')) for (const key of letters.get(id)!) own.add(key.id)
  return own
}

interface LiveKeys {
  /** The keys of the bucket that a key of this id is in: every generation that is still there. */
  bucketsOf(this: void, id: string): readonly KeyObject[]
  readonly pending: readonly KeyObject[]
}

/** Every key that wraps others and is still there. */
async function liveKeysOf(options: VaultOptions): Promise<Map<Region, LiveKeys>> {
  const vault = new DirectoryKeyVault(options)
  const live = new Map<Region, LiveKeys>()
  for (const region of regions) {
    const buckets = new Map<number, KeyObject[]>()
    const pending: KeyObject[] = []
    for (const name of await readdir(join(options.directory, region.toLowerCase())).catch(() => [])) {
      const bucket = /^bucket-([0-9a-f]{2})(?:\.(\d+))?\.key$/.exec(name)
      if (bucket !== null) {
        const number = parseInt(bucket[1]!, 16)
        const key = await vault.bucketKey(region, number, Number(bucket[2] ?? 0))
        buckets.set(number, [...(buckets.get(number) ?? []), key])
      }
      const own = /^pending-(.+)\.key$/.exec(name)
      if (own !== null) pending.push(await vault.pendingKey(region, own[1]!, false))
    }
    live.set(region, { bucketsOf: (id) => buckets.get(vault.bucketOf(region, id)) ?? [], pending })
  }
  return live
}

const WRAPPED_BYTES = 61
/** Where its wrapped form stands, from the key's id on: in a row of its own, and behind the blobs of a queued event. */
const KEY_ROW_BYTES = 400
const QUEUED_ROW_BYTES = 3_000

/** The key, where one that is still there opens what stands near these places as an old or new version of a row. */
function recoverKey(
  bytes: Buffer,
  places: readonly number[],
  of: readonly KeyPlace[],
  live: ReadonlyMap<Region, LiveKeys>,
): KeyObject | null {
  for (const at of places)
    for (let from = at; from < Math.min(at + QUEUED_ROW_BYTES, bytes.length - WRAPPED_BYTES); from++) {
      if (bytes[from] !== 1) continue
      const wrapped = bytes.subarray(from, from + WRAPPED_BYTES)
      for (const key of of) {
        const { bucketsOf, pending } = live.get(key.region)!
        const place = { region: key.region, companyId: key.company_id }
        const opened =
          (from < at + KEY_ROW_BYTES
            ? firstOf(bucketsOf(key.id), (one) => unwrapKey(one, key.region, { ...key, wrapped }))
            : null) ?? firstOf(pending, (one) => unwrapPending(one, place, key.blob, key.id, wrapped).key)
        if (opened !== null) return opened
      }
    }
  return null
}

function firstOf(keys: readonly KeyObject[], open: (key: KeyObject) => KeyObject): KeyObject | null {
  for (const key of keys)
    try {
      return open(key)
    } catch {
      // Not this key, or no wrapped key at all: that is what is being found out.
    }
  return null
}

export interface DiskReading {
  /** Ids of the keys that could be had. */
  readonly recovered: ReadonlySet<string>
  /** By the key that opened it, the files that say one of the words. */
  readonly said: ReadonlyMap<string, ReadonlySet<string>>
  /** Needles that stand there as they are. */
  readonly plain: readonly string[]
  readonly tagged: readonly string[]
  /** Archive objects, by their keys. */
  readonly objects: readonly string[]
}

/** Reads all files below a folder, with every key there is. The servers are stopped meanwhile. */
export async function readDisk(
  folder: string,
  vault: VaultOptions,
  wanted: {
    readonly keys: readonly KeyPlace[]
    readonly words: readonly string[]
    readonly needles: readonly Needle[]
    readonly tags: readonly Needle[]
  },
): Promise<DiskReading> {
  const live = await liveKeysOf(vault)
  const said = new Map<string, Set<string>>()
  const plain: string[] = []
  const tagged: string[] = []
  const objects: string[] = []
  const keys = new Map<string, KeyObject>()
  const sealed: { id: string; path: string; bytes: Buffer; places: readonly number[] }[] = []
  const byId = Map.groupBy(wanted.keys, ({ id }) => id)
  const ids = new Map<Needle, string>(
    [...byId.keys()].map((id) => [{ name: id, bytes: Buffer.from(id.replaceAll('-', ''), 'hex') }, id]),
  )
  const isTag = new Set(wanted.tags)
  const set = new NeedleSet([...wanted.needles, ...wanted.tags, ...ids.keys()])
  for await (const { path: whole, bytes } of filesBelow(folder)) {
    const path = whole.slice(folder.length + 1)
    if (path.endsWith('.ndjson.zst')) objects.push(path)
    for (const [needle, places] of set.placesIn(bytes)) {
      const id = ids.get(needle)
      if (id === undefined) {
        const list = isTag.has(needle) ? tagged : plain
        list.push(`${needle.name} in ${path}`)
        continue
      }
      sealed.push({ id, path, bytes, places })
      if (keys.has(id)) continue
      const key = recoverKey(bytes, places, byId.get(id)!, live)
      if (key !== null) keys.set(id, key)
    }
  }
  const words = wanted.words.map((word) => word.toLowerCase())
  for (const { id, path, bytes, places } of sealed) {
    const key = keys.get(id)
    if (key === undefined) continue
    for (const text of openBlobs(bytes, places, key))
      if (words.some((word) => text.toLowerCase().includes(word))) said.set(id, (said.get(id) ?? new Set()).add(path))
  }
  return { recovered: new Set(keys.keys()), said, plain, tagged, objects }
}

/** Which keys opened something in files whose path is not one of these. */
export const outsideOf = (said: DiskReading['said'], pattern: RegExp): string[] =>
  [...said].flatMap(([key, paths]) => [...paths].filter((path) => !pattern.test(path)).map((path) => `${key} ${path}`))

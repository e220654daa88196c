import type { KeyObject } from 'node:crypto'
import type { Clock } from '../kernel/clock.js'
import type { Database, Transaction } from '../db/database.js'
import { newUuid } from '../kernel/ids.js'
import { randomBytes } from '../kernel/random.js'
import type { Region } from '../kernel/region.js'
import { KeyCache } from './key-cache.js'
import { DatabaseError } from '../db/database-error.js'
import { BUCKET_COUNT, BucketKeyReplacedError, type KeyVault } from './key-vault.js'
import type { BlobName, SealingKey } from './sealed-blob.js'
import { newSecretKey, openSecret, sealSecret, secretKey } from './secret-box.js'
import { equalityTag, subjectTag, TAG_BYTES } from './tags.js'

const SUBJECTS_CACHED_MAX = 20_000
const KEYS_CACHED_MAX = 40_000
const TRANSACTION_TIMEOUT_MS = 5_000
/** Buckets turn one after another, seldom: more than this in a row is a fault of ours. */
const TURNS_MET_MAX = 5
/** Raised where a key would be wrapped by a bucket key that has been replaced. */
const BUCKET_TURNED = 'HY002'
const blobNames = ['identity', 'content'] as const

/** Whose keys seal an event: the actor's, by id and e-mail as given, or the workspace's where neither is. */
export interface Subject {
  readonly companyId: string
  readonly workspaceId: string
  readonly actorId: string | null
  readonly actorEmail: string | null
}

export interface SubjectKeyPair {
  readonly identity: SealingKey
  readonly content: SealingKey
}

/** The tag key of a company; in memory by the time events are sealed. */
export type TagKeyOf = (companyId: string) => KeyObject | Promise<KeyObject>

interface KeyRow {
  readonly id: string
  readonly company_id: string
  readonly subject_tag: Buffer
  readonly blob: BlobName
  readonly bucket: number
  readonly generation: number
  readonly wrapped: Buffer
}

interface Wanted {
  readonly name: string
  readonly companyId: string
  readonly subjectTag: Buffer
  readonly actorIdTag: Buffer | null
  readonly actorEmailTag: Buffer | null
  readonly keys: Partial<Record<BlobName, SealingKey>>
}

/**
 * The keys that seal disclosures, one pair per subject and region. They are kept in the region's database, wrapped by a
 * bucket key of the vault, and unwrapped in memory for at most ten minutes.
 */
export class SubjectKeys {
  readonly #vault: KeyVault
  readonly #clock: Clock
  readonly #pairs: KeyCache<SubjectKeyPair>
  readonly #keys: KeyCache<KeyObject>
  readonly #epochs = new Map<Region, number>()
  #generation = 0

  constructor(options: { readonly vault: KeyVault; readonly clock: Clock }) {
    this.#vault = options.vault
    this.#clock = options.clock
    this.#pairs = new KeyCache(SUBJECTS_CACHED_MAX, options.clock)
    this.#keys = new KeyCache(KEYS_CACHED_MAX, options.clock)
  }

  /**
   * The key pairs of the subjects, in their order, made and committed where there are none. Costs no statement for
   * subjects in memory, else one SELECT for all of them, and for those without keys one INSERT (and one more SELECT
   * where another process was faster). Throws DatabaseError where the region does not answer.
   */
  async ensure(
    database: Database,
    region: Region,
    tagKeyOf: TagKeyOf,
    subjects: readonly Subject[],
  ): Promise<readonly SubjectKeyPair[]> {
    const now = this.#pairs.nowMs()
    const pairs = new Array<SubjectKeyPair | undefined>(subjects.length)
    const missing = new Map<string, Subject>()
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[i]!
      const name = cacheName(region, subject)
      const pair = this.#pairs.get(name, now)
      if (pair === undefined) missing.set(name, subject)
      else pairs[i] = pair
    }
    if (missing.size === 0) return pairs as SubjectKeyPair[]
    const made = await throughTurns(() => this.#loadOrCreate(database, region, tagKeyOf, missing))
    return subjects.map((subject, i) => pairs[i] ?? made.get(cacheName(region, subject))!)
  }

  /** The key of this id where it is in memory; undefined: `load` it. */
  peek(region: Region, keyId: string): KeyObject | undefined {
    return this.#keys.get(`${region}/${keyId}`)
  }

  /**
   * The keys of these ids; one that is missing in the answer has been destroyed. One SELECT for those not in memory,
   * in the caller's transaction, which must see the companies they belong to.
   */
  async load(tx: Transaction, region: Region, keyIds: readonly string[]): Promise<Map<string, KeyObject>> {
    const now = this.#keys.nowMs()
    const found = new Map<string, KeyObject>()
    const missing = new Set<string>()
    for (const id of keyIds) {
      const key = this.#keys.get(`${region}/${id}`, now)
      if (key === undefined) missing.add(id)
      else found.set(id, key)
    }
    if (missing.size === 0) return found
    const generation = this.#generation
    await throughTurns(async () => {
      const rows = await tx.query<KeyRow>(
        `select ${keyColumns} from subject_key k where k.id = any ($1::uuid[])`,
        [[...missing]],
        'subject_key_by_id',
      )
      await this.#unwrap(region, rows, (row, key) => {
        found.set(row.id, key)
        if (generation === this.#generation) this.#keys.set(`${region}/${row.id}`, key, now)
      })
    })
    return found
  }

  /**
   * A fresh key of a company's that belongs to no subject, made and committed. It is wrapped, and can be destroyed, as
   * the others are.
   */
  async createOwn(database: Database, region: Region, companyId: string): Promise<SealingKey> {
    return throughTurns(async () => {
      const wanted: Wanted = {
        name: '',
        companyId,
        subjectTag: randomBytes(TAG_BYTES),
        actorIdTag: null,
        actorEmailTag: null,
        keys: {},
      }
      const options = { companies: [companyId], timeoutMs: TRANSACTION_TIMEOUT_MS }
      return database.transaction(options, async (tx) => {
        const drafts = await this.#draftMissing(region, [wanted], await selectGenerations(tx), ['content'])
        await insertKeys(tx, drafts)
        return drafts[0]!.key
      })
    })
  }

  /**
   * Takes in keys that were made while the region could not be asked, in the caller's transaction, which has called
   * `hold_subject_keys()`. They are found by their tags where their subject is to be erased. To be repeated with its
   * transaction through {@link throughTurns}.
   */
  async adopt(tx: Transaction, region: Region, adopted: readonly AdoptedKey[]): Promise<void> {
    if (adopted.length === 0) return
    const generations = await selectGenerations(tx)
    const createdAt = this.#clock.now()
    const drafts = adopted.map(({ key, companyId, blob, actorIdTag, actorEmailTag }) => {
      const bucket = this.#vault.bucketOf(region, key.id)
      // A tag of nobody's: a subject's own tag is that of the keys which new events of it are sealed with.
      const wanted = { name: '', companyId, subjectTag: randomBytes(TAG_BYTES), actorIdTag, actorEmailTag, keys: {} }
      return { wanted, blob, key, bucket, generation: generations.get(bucket) ?? 0, createdAt }
    })
    await insertKeys(tx, await this.#wrap(region, drafts))
  }

  /**
   * A state of the region's keys in which every key kept here was there. Take it before `ensure`, and compare it in the
   * transaction that stores what was sealed (`holdSubjectKeys`): another one then means that keys may be gone.
   */
  epoch(region: Region): number {
    return this.#epochs.get(region) ?? -1
  }

  /** Keys of the region were destroyed, the last in this epoch: what is kept from before is dropped. */
  renew(region: Region, epoch: number): void {
    if (epoch <= this.epoch(region)) return
    this.forget(region)
    this.#epochs.set(region, epoch)
  }

  /** Drops unwrapped keys from memory: those of these ids, or all of the region. Answers under way are not kept. */
  forget(region: Region, keyIds?: readonly string[]): void {
    this.#generation++
    const prefix = `${region}/`
    const ids = keyIds && new Set(keyIds)
    this.#keys.deleteWhere((_, name) => name.startsWith(prefix) && (!ids || ids.has(name.slice(prefix.length))))
    this.#pairs.deleteWhere(
      (pair, name) => name.startsWith(prefix) && (!ids || ids.has(pair.identity.id) || ids.has(pair.content.id)),
    )
  }

  async #loadOrCreate(
    database: Database,
    region: Region,
    tagKeyOf: TagKeyOf,
    missing: ReadonlyMap<string, Subject>,
  ): Promise<Map<string, SubjectKeyPair>> {
    const at = this.#pairs.nowMs()
    const generation = this.#generation
    const wanted = await describe(missing, tagKeyOf)
    const options = {
      companies: [...new Set(wanted.map(({ companyId }) => companyId))],
      timeoutMs: TRANSACTION_TIMEOUT_MS,
    }
    const [rows, generations] = await database.transaction({ ...options, readOnly: true }, (tx) =>
      Promise.all([selectKeys(tx, wanted), selectGenerations(tx)]),
    )
    await this.#take(region, wanted, rows)
    const drafts = await this.#draftMissing(region, wanted, generations)
    if (drafts.length > 0) {
      const others = await database.transaction(options, async (tx) => {
        const own = await insertKeys(tx, drafts)
        for (const draft of drafts) if (own.has(draft.key.id)) draft.wanted.keys[draft.blob] = draft.key
        return own.size === drafts.length ? [] : selectKeys(tx, wanted)
      })
      await this.#take(region, wanted, others)
    }
    const made = new Map<string, SubjectKeyPair>()
    for (const { name, keys } of wanted) {
      const { identity, content } = keys
      if (identity === undefined || content === undefined) throw new Error('A subject key was neither found nor made.')
      made.set(name, { identity, content })
      if (generation !== this.#generation) continue
      this.#pairs.set(name, { identity, content }, at)
      for (const { id, key } of [identity, content]) this.#keys.set(`${region}/${id}`, key, at)
    }
    return made
  }

  /** Unwraps rows into the subjects that lack them. */
  async #take(region: Region, wanted: readonly Wanted[], rows: readonly KeyRow[]): Promise<void> {
    if (rows.length === 0) return
    const bySubject = Map.groupBy(wanted, (one) => rowName(one.companyId, one.subjectTag))
    await this.#unwrap(region, rows, (row, key) => {
      for (const one of bySubject.get(rowName(row.company_id, row.subject_tag)) ?? [])
        one.keys[row.blob] ??= { id: row.id, key }
    })
  }

  async #unwrap(region: Region, rows: readonly KeyRow[], take: (row: KeyRow, key: KeyObject) => void): Promise<void> {
    const bucketKeys = await this.#bucketKeys(region, rows)
    for (const row of rows) take(row, unwrapKey(bucketKeys.get(bucketName(row))!, region, row))
  }

  async #draftMissing(
    region: Region,
    wanted: readonly Wanted[],
    generations: ReadonlyMap<number, number>,
    blobs: readonly BlobName[] = blobNames,
  ): Promise<Draft[]> {
    const drafts: Omit<Draft, 'wrapped'>[] = []
    const now = this.#clock.now()
    for (const one of wanted)
      for (const blob of blobs) {
        if (one.keys[blob] !== undefined) continue
        const id = newUuid(now.getTime())
        const bucket = this.#vault.bucketOf(region, id)
        drafts.push({
          wanted: one,
          blob,
          key: { id, key: newSecretKey() },
          bucket,
          generation: generations.get(bucket) ?? 0,
          createdAt: now,
        })
      }
    return this.#wrap(region, drafts)
  }

  async #wrap(region: Region, drafts: readonly Omit<Draft, 'wrapped'>[]): Promise<Draft[]> {
    const bucketKeys = await this.#bucketKeys(region, drafts)
    return drafts.map((draft) => ({
      ...draft,
      wrapped: wrapKey(
        bucketKeys.get(bucketName(draft))!,
        region,
        { id: draft.key.id, company_id: draft.wanted.companyId, blob: draft.blob },
        draft.key.key,
      ),
    }))
  }

  async #bucketKeys(region: Region, wrapped: readonly Bucket[]): Promise<Map<number, KeyObject>> {
    const buckets = new Map(wrapped.map((one) => [bucketName(one), one]))
    return new Map(
      await Promise.all(
        [...buckets].map(
          async ([name, { bucket, generation }]) =>
            [name, await this.#vault.bucketKey(region, bucket, generation)] as const,
        ),
      ),
    )
  }
}

/** A generation of a bucket's key. */
interface Bucket {
  readonly bucket: number
  readonly generation: number
}

const bucketName = ({ bucket, generation }: Bucket): number => generation * BUCKET_COUNT + bucket

/** A subject key as it is stored, whoever it belongs to. */
export interface StoredKey {
  readonly id: string
  readonly company_id: string
  readonly blob: BlobName
}

/** A subject key wrapped by a bucket key, for `subject_key.wrapped`. */
export const wrapKey = (bucketKey: KeyObject, region: Region, stored: StoredKey, key: KeyObject): Buffer =>
  sealSecret(bucketKey, wrapName(region, stored.company_id, stored.blob, stored.id), key.export())

/** The inverse of {@link wrapKey}. Throws SealBrokenError. */
export const unwrapKey = (
  bucketKey: KeyObject,
  region: Region,
  stored: StoredKey & { readonly wrapped: Buffer },
): KeyObject =>
  secretKey(openSecret(bucketKey, wrapName(region, stored.company_id, stored.blob, stored.id), stored.wrapped))

/** A key that was made elsewhere, for a subject that the region may have other keys of. */
export interface AdoptedKey {
  readonly key: SealingKey
  readonly companyId: string
  readonly blob: BlobName
  readonly actorIdTag: Buffer | null
  readonly actorEmailTag: Buffer | null
}

/** Tries again what met the turn of a bucket: what it read or made was wrapped by a key that is no more. */
export async function throughTurns<T>(work: () => Promise<T>): Promise<T> {
  for (let met = 0; ; met++) {
    try {
      return await work()
    } catch (error) {
      const turned =
        error instanceof BucketKeyReplacedError || (error instanceof DatabaseError && error.code === BUCKET_TURNED)
      if (!turned || met === TURNS_MET_MAX) throw error
    }
  }
}

interface Draft {
  readonly wanted: Wanted
  readonly blob: BlobName
  readonly key: SealingKey
  readonly bucket: number
  readonly generation: number
  readonly wrapped: Buffer
  readonly createdAt: Date
}

/** A name in memory only, never stored: lengths keep ids and addresses from running into each other. */
function cacheName(region: Region, { companyId, workspaceId, actorId, actorEmail }: Subject): string {
  if (actorId === null && actorEmail === null) return `${region}/${companyId}w${workspaceId}`
  return actorId === null
    ? `${region}/${companyId}e${actorEmail}`
    : `${region}/${companyId}i${actorId.length}:${actorId}${actorEmail === null ? '' : `@${actorEmail}`}`
}

const rowName = (companyId: string, tag: Buffer): string => `${companyId}${tag.toString('latin1')}`
const wrapName = (region: Region, companyId: string, blob: BlobName, keyId: string): string =>
  `${blob} key ${keyId} of company ${companyId} in ${region}`

async function describe(missing: ReadonlyMap<string, Subject>, tagKeyOf: TagKeyOf): Promise<Wanted[]> {
  const wanted: Wanted[] = []
  for (const [name, subject] of missing) {
    const tagKey = await tagKeyOf(subject.companyId)
    const { actorId, actorEmail } = subject
    wanted.push({
      name,
      companyId: subject.companyId,
      subjectTag: subjectTag(tagKey, subject),
      actorIdTag: actorId === null ? null : equalityTag(tagKey, 'actor.id', actorId),
      actorEmailTag: actorEmail === null ? null : equalityTag(tagKey, 'actor.email', actorEmail),
      keys: {},
    })
  }
  // One order everywhere: two processes that insert the same subjects wait for each other and never both.
  return wanted.sort((a, b) => compareText(a.companyId, b.companyId) || Buffer.compare(a.subjectTag, b.subjectTag))
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const keyColumns = 'k.id, k.company_id, k.subject_tag, k.blob, k.bucket, k.generation, k.wrapped'

/** The generations of the buckets that have turned. */
async function selectGenerations(tx: Transaction): Promise<Map<number, number>> {
  const rows = await tx.query<Bucket>(
    'select bucket, generation from key_bucket where generation > 0',
    [],
    'bucket_generations',
  )
  return new Map(rows.map(({ bucket, generation }) => [bucket, generation]))
}

const selectKeys = (tx: Transaction, wanted: readonly Wanted[]): Promise<KeyRow[]> =>
  tx.query<KeyRow>(
    `select ${keyColumns}
     from unnest($1::uuid[], $2::bytea[]) as w (company_id, subject_tag)
     join subject_key k on k.company_id = w.company_id and k.subject_tag = w.subject_tag`,
    [wanted.map((one) => one.companyId), wanted.map((one) => one.subjectTag)],
    'subject_key_by_subject',
  )

/** The ids of the drafts that were stored; another process has made the others. */
async function insertKeys(tx: Transaction, drafts: readonly Draft[]): Promise<Set<string>> {
  const rows = await tx.query<{ id: string }>(
    `insert into subject_key (id, company_id, subject_tag, blob, actor_id_tag, actor_email_tag, bucket, generation, wrapped, created_at)
     select * from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[], $5::bytea[], $6::bytea[], $7::smallint[], $8::integer[], $9::bytea[], $10::timestamptz[])
     on conflict do nothing
     returning id`,
    [
      drafts.map((draft) => draft.key.id),
      drafts.map((draft) => draft.wanted.companyId),
      drafts.map((draft) => draft.wanted.subjectTag),
      drafts.map((draft) => draft.blob),
      drafts.map((draft) => draft.wanted.actorIdTag),
      drafts.map((draft) => draft.wanted.actorEmailTag),
      drafts.map((draft) => draft.bucket),
      drafts.map((draft) => draft.generation),
      drafts.map((draft) => draft.wrapped),
      drafts.map((draft) => draft.createdAt),
    ],
    'subject_key_insert',
  )
  return new Set(rows.map((row) => row.id))
}

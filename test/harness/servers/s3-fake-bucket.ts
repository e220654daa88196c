import { createHash, randomUUID } from 'node:crypto'
import type { Clock } from '../../../src/kernel/clock.js'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** How long a restore takes, as Amazon's tables say (upper bounds). */
const restoreMs: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  GLACIER: { Expedited: hourMs / 12, Standard: 5 * hourMs, Bulk: 12 * hourMs },
  DEEP_ARCHIVE: { Standard: 12 * hourMs, Bulk: 48 * hourMs },
}

export interface FakeVersion {
  readonly id: string
  readonly bytes: Buffer
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
  readonly storageClass: string
  readonly modifiedAt: Date
  readonly deleteMarker: boolean
  retainUntil?: Date | undefined
  legalHold?: boolean
  restore?: { readonly readyAt: Date; until: Date }
}

/** A refusal, as S3 words it. */
export class S3Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code)
  }
}

export type Precondition = { readonly ifMatch: string | undefined; readonly ifNoneMatch: string | undefined }

export interface FakeUpload {
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly storageClass: string
  readonly parts: Map<number, { readonly bytes: Buffer; readonly etag: string }>
}

const md5 = (bytes: Buffer): Buffer => createHash('md5').update(bytes).digest()

/** One bucket, as the documentation of Amazon S3 says it behaves. */
export class FakeBucket {
  readonly #objects = new Map<string, FakeVersion[]>()
  readonly uploads = new Map<string, FakeUpload>()
  /** Retention of what is written from now on, in days; makes a bucket with Object Lock. */
  retentionDays: number | undefined

  constructor(
    readonly clock: Clock,
    readonly versioned = false,
  ) {}

  keys(): string[] {
    return [...this.#objects.keys()].filter((key) => this.current(key) !== undefined).sort()
  }

  /** Newest first. */
  versions(key: string): readonly FakeVersion[] {
    return this.#objects.get(key) ?? []
  }

  allKeys(): string[] {
    return [...this.#objects.keys()].sort()
  }

  current(key: string): FakeVersion | undefined {
    const newest = this.versions(key)[0]
    return newest?.deleteMarker === true ? undefined : newest
  }

  find(key: string, versionId: string | undefined): FakeVersion {
    const found =
      versionId === undefined ? this.current(key) : this.versions(key).find((version) => version.id === versionId)
    if (found === undefined) throw new S3Refusal(404, versionId === undefined ? 'NoSuchKey' : 'NoSuchVersion')
    return found
  }

  check(key: string, { ifMatch, ifNoneMatch }: Precondition): void {
    const current = this.current(key)
    if (ifNoneMatch === '*' && current !== undefined) throw new S3Refusal(412, 'PreconditionFailed')
    if (ifMatch === undefined) return
    if (current === undefined) throw new S3Refusal(404, 'NoSuchKey')
    if (current.etag !== `"${ifMatch.replaceAll('"', '')}"`) throw new S3Refusal(412, 'PreconditionFailed')
  }

  write(
    key: string,
    bytes: Buffer,
    about: Pick<FakeVersion, 'headers' | 'storageClass'> & { readonly etag?: string },
  ): FakeVersion {
    const now = this.clock.now()
    const version: FakeVersion = {
      id: this.versioned ? randomUUID() : 'null',
      bytes,
      etag: about.etag ?? `"${md5(bytes).toString('hex')}"`,
      headers: about.headers,
      storageClass: about.storageClass,
      modifiedAt: now,
      deleteMarker: false,
      retainUntil: this.retentionDays === undefined ? undefined : new Date(now.getTime() + this.retentionDays * dayMs),
    }
    this.#objects.set(key, [version, ...(this.versioned ? this.versions(key) : [])])
    return version
  }

  complete(uploadId: string, numbers: readonly number[], precondition: Precondition): FakeVersion {
    const upload = this.uploads.get(uploadId)
    if (upload === undefined) throw new S3Refusal(404, 'NoSuchUpload')
    this.check(upload.key, precondition)
    const parts = numbers.map((number) => upload.parts.get(number)!)
    this.uploads.delete(uploadId)
    const etag = `"${md5(Buffer.concat(parts.map(({ bytes }) => md5(bytes)))).toString('hex')}-${parts.length}"`
    return this.write(upload.key, Buffer.concat(parts.map(({ bytes }) => bytes)), { ...upload, etag })
  }

  delete(key: string, versionId: string | undefined): void {
    const versions = this.versions(key)
    if (versionId === undefined && this.versioned) {
      const marker = {
        ...this.write(key, Buffer.alloc(0), { headers: {}, storageClass: 'STANDARD' }),
        deleteMarker: true,
      }
      delete marker.retainUntil
      this.#objects.set(key, [marker, ...versions])
      return
    }
    const gone = versions.find(({ id }) => id === (versionId ?? 'null'))
    if (gone === undefined) return
    if (gone.legalHold === true || (gone.retainUntil ?? new Date(0)) > this.clock.now())
      throw new S3Refusal(403, 'AccessDenied')
    const rest = versions.filter((version) => version !== gone)
    if (rest.length === 0) this.#objects.delete(key)
    else this.#objects.set(key, rest)
  }

  /** The status: 202 where it begins, 200 where a copy is there and its end is moved. */
  restore(key: string, days: number, tier: string): 200 | 202 {
    const version = this.find(key, undefined)
    const durations = restoreMs[version.storageClass]
    if (durations === undefined) throw new S3Refusal(403, 'InvalidObjectState')
    const durationMs = durations[tier]
    if (durationMs === undefined) throw new S3Refusal(400, 'InvalidArgument')
    const now = this.clock.now()
    const state = this.restoreState(version)
    if (state === 'ongoing') throw new S3Refusal(409, 'RestoreAlreadyInProgress')
    if (state === 'done') {
      version.restore!.until = midnightAfter(now, days)
      return 200
    }
    const readyAt = new Date(now.getTime() + durationMs)
    version.restore = { readyAt, until: midnightAfter(readyAt, days) }
    return 202
  }

  restoreState({ restore }: FakeVersion): 'none' | 'ongoing' | 'done' {
    const now = this.clock.now()
    if (restore === undefined || restore.until <= now) return 'none'
    return restore.readyAt > now ? 'ongoing' : 'done'
  }

  readable(version: FakeVersion): boolean {
    return restoreMs[version.storageClass] === undefined || this.restoreState(version) === 'done'
  }

  /** As the bucket's lifecycle rule would. */
  transition(key: string, storageClass: string): void {
    const [newest, ...older] = this.versions(key)
    this.#objects.set(key, [{ ...newest!, storageClass }, ...older])
  }
}

/** Amazon adds the days and rounds up to the next midnight UTC. */
const midnightAfter = (from: Date, days: number): Date =>
  new Date(Math.ceil((from.getTime() + days * dayMs + 1) / dayMs) * dayMs)

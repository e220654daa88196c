import { createHash } from 'node:crypto'
import { open, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Clock } from '../../kernel/clock.js'
import { ObjectChangedError, ObjectColdError, ObjectExistsError, ObjectNotFoundError } from '../object-errors.js'
import { withBody } from '../object-body.js'
import { checkedDays, checkedKey, checkedPrefix, daysAfter } from '../object-key.js'
import type { ObjectHead, ObjectStore, PutOptions, RestoreTier } from '../object-store.js'
import {
  ifThere,
  onDisk,
  readText,
  removeDurably,
  nameDurably,
  renameDurably,
  replaceText,
  writeNameless,
} from './durable-file.js'
import { withFileLock } from './file-lock.js'

const READ_BYTES = 256 * 1024
/** A body that a process left behind when it died. No upload takes that long. */
const strayAfterMs = 24 * 3_600_000

const warmState = { objectClass: 'WARM', restoredUntil: null } as const

export interface LocalStoreOptions {
  /** The folder of the bucket; made on first use. */
  readonly folder: string
  readonly clock: Clock
  /** How long a restore takes; 0 is at once. */
  readonly restoreDelayMs?: number
}

interface Restore {
  readonly readyAt: Date
  readonly until: Date
}

interface Found {
  readonly path: string
  readonly cold: boolean
  readonly head: ObjectHead
}

/**
 * A bucket in a folder: objects that can be read are in `warm/`, those in cold storage in `cold/`, each a file named as
 * its key; `restores/` says until when which of them can be read, `incoming/` has bodies on their way and `locks/` who is changing
 * what. An object is moved by one rename and so is at every moment in exactly one place, after a crash too. Several
 * processes may share the folder. On file systems a key can't go on below another key (`a` and `a/b`).
 */
export class LocalObjectStore implements ObjectStore {
  readonly restoreTiers: readonly RestoreTier[] = ['STANDARD']
  readonly #folder: string
  readonly #clock: Clock
  readonly #restoreDelayMs: number
  #swept = false

  constructor(options: LocalStoreOptions) {
    this.#folder = resolve(options.folder)
    this.#clock = options.clock
    this.#restoreDelayMs = options.restoreDelayMs ?? 0
  }

  put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectHead> {
    checkedKey(key)
    return withBody(body, (watched) => this.#put(key, watched, options))
  }

  #put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectHead> {
    return onDisk(async () => {
      await this.#sweepStrays()
      // Refused before the body is read where that is certain; what counts is the same question below, under the lock.
      await this.#refuseUnless(key, options.precondition)
      const arrived = await writeNameless(join(this.#folder, 'incoming'), key, body, options.sha256)
      try {
        return await this.#locked(key, async () => {
          await this.#name(arrived, key, await this.#refuseUnless(key, options.precondition))
          return this.#mustFind(key)
        })
      } finally {
        await rm(arrived, { force: true })
      }
    })
  }

  get(key: string): Promise<AsyncIterable<Uint8Array>> {
    checkedKey(key)
    return onDisk(async () => {
      for (;;) {
        const found = await this.#find(key)
        if (found === null) throw new ObjectNotFoundError(key)
        if (found.head.objectClass === 'COLD' || found.head.objectClass === 'RESTORING') throw new ObjectColdError(key)
        // Open before it is answered: what replaces or moves the object later doesn't touch what is being read.
        const handle = await ifThere(open(found.path, 'r'))
        if (handle !== null) return handle.createReadStream({ highWaterMark: READ_BYTES })
      }
    })
  }

  head(key: string): Promise<ObjectHead | null> {
    checkedKey(key)
    return onDisk(async () => (await this.#find(key))?.head ?? null)
  }

  async *list(prefix: string): AsyncGenerator<Pick<ObjectHead, 'key' | 'sizeBytes' | 'modifiedAt'>> {
    checkedPrefix(prefix)
    for await (const key of this.#keys('', prefix)) {
      const found = await onDisk(() => this.#find(key))
      if (found !== null) yield { key, sizeBytes: found.head.sizeBytes, modifiedAt: found.head.modifiedAt }
    }
  }

  async delete(key: string): Promise<void> {
    checkedKey(key)
    await onDisk(() =>
      this.#locked(key, async () => {
        await removeDurably(this.#path('warm', key))
        await removeDurably(this.#path('cold', key))
        await removeDurably(this.#restorePath(key))
      }),
    )
  }

  moveToCold(key: string): Promise<ObjectHead> {
    checkedKey(key)
    return onDisk(() =>
      this.#locked(key, async () => {
        const found = await this.#mustFindWhere(key)
        if (!found.cold) await renameDurably(found.path, this.#path('cold', key))
        return this.#mustFind(key)
      }),
    )
  }

  requestRestore(key: string, options: { readonly days: number; readonly tier: RestoreTier }): Promise<ObjectHead> {
    checkedKey(key)
    const days = checkedDays(options.days)
    return onDisk(() =>
      this.#locked(key, async () => {
        const { head } = await this.#mustFindWhere(key)
        if (head.objectClass === 'WARM' || head.objectClass === 'RESTORING') return head
        const now = this.#clock.now()
        if (head.objectClass === 'RESTORED') {
          const until = daysAfter(now, days)
          if (until > head.restoredUntil!) await this.#writeRestore(key, { readyAt: now, until })
        } else {
          const readyAt = new Date(now.getTime() + this.#restoreDelayMs)
          await this.#writeRestore(key, { readyAt, until: daysAfter(readyAt, days) })
        }
        return this.#mustFind(key)
      }),
    )
  }

  /** Puts what arrived in the place of what is there; by renames alone, so that there never are two. */
  async #name(arrived: string, key: string, before: Found | null): Promise<void> {
    const warm = this.#path('warm', key)
    if (before === null) {
      await removeDurably(this.#restorePath(key))
      return nameDurably(arrived, warm, key)
    }
    // Versions are told apart by this time: a file system may count it in steps that are longer than a put takes.
    const modifiedAt = new Date(Math.max(Date.now(), before.head.modifiedAt.getTime() + 1))
    await utimes(arrived, modifiedAt, modifiedAt)
    await renameDurably(arrived, before.path)
    if (!before.cold) return
    await renameDurably(before.path, warm)
    await removeDurably(this.#restorePath(key))
  }

  async #refuseUnless(key: string, precondition: PutOptions['precondition']): Promise<Found | null> {
    const found = await this.#find(key)
    if (precondition === 'new') {
      if (found !== null) throw new ObjectExistsError(key)
    } else if (found?.head.version !== precondition.version) throw new ObjectChangedError(key)
    return found
  }

  async #mustFindWhere(key: string): Promise<Found> {
    const found = await this.#find(key)
    if (found === null) throw new ObjectNotFoundError(key)
    return found
  }

  async #mustFind(key: string): Promise<ObjectHead> {
    return (await this.#mustFindWhere(key)).head
  }

  async #find(key: string): Promise<Found | null> {
    // A move may happen between two looks, in either direction: the third look sees what the first one missed.
    for (const place of ['warm', 'cold', 'warm'] as const) {
      const path = this.#path(place, key)
      const file = await ifThere(stat(path, { bigint: true }))
      if (file === null || !file.isFile()) continue
      const state = place === 'cold' ? await this.#coldState(key) : warmState
      const version = `${file.ino}-${file.mtimeNs}-${file.size}`
      const modifiedAt = new Date(Number(file.mtimeMs))
      return {
        path,
        cold: place === 'cold',
        head: { key, sizeBytes: Number(file.size), version, modifiedAt, ...state },
      }
    }
    return null
  }

  async #coldState(key: string): Promise<Pick<ObjectHead, 'objectClass' | 'restoredUntil'>> {
    const restore = await this.#readRestore(key)
    const now = this.#clock.now()
    if (restore === null || restore.until <= now) return { objectClass: 'COLD', restoredUntil: null }
    if (restore.readyAt > now) return { objectClass: 'RESTORING', restoredUntil: null }
    return { objectClass: 'RESTORED', restoredUntil: restore.until }
  }

  async #readRestore(key: string): Promise<Restore | null> {
    const text = await readText(this.#restorePath(key))
    if (text === null) return null
    const { readyAt, until } = JSON.parse(text) as { readonly readyAt: string; readonly until: string }
    return { readyAt: new Date(readyAt), until: new Date(until) }
  }

  #writeRestore(key: string, restore: Restore): Promise<void> {
    return replaceText(join(this.#folder, 'incoming'), this.#restorePath(key), JSON.stringify(restore))
  }

  /** Keys below a folder of `warm/` and `cold/` together, in the order of their bytes. */
  async *#keys(folder: string, prefix: string): AsyncGenerator<string> {
    const names = new Set<string>()
    for (const place of ['warm', 'cold'] as const) {
      const entries = await onDisk(() => ifThere(readdir(join(this.#folder, place, folder), { withFileTypes: true })))
      for (const entry of entries ?? [])
        names.add(entry.isDirectory() ? `${folder}${entry.name}/` : folder + entry.name)
    }
    for (const name of [...names].sort()) {
      if (name.endsWith('/')) {
        if (name.startsWith(prefix) || prefix.startsWith(name)) yield* this.#keys(name, prefix)
      } else if (name.startsWith(prefix)) yield name
    }
  }

  #locked<T>(key: string, work: () => Promise<T>): Promise<T> {
    return withFileLock(join(this.#folder, 'locks'), key, work)
  }

  #path(place: 'warm' | 'cold', key: string): string {
    return join(this.#folder, place, key)
  }

  #restorePath(key: string): string {
    return join(this.#folder, 'restores', `${createHash('sha256').update(key).digest('hex')}.json`)
  }

  async #sweepStrays(): Promise<void> {
    if (this.#swept) return
    this.#swept = true
    const folder = join(this.#folder, 'incoming')
    for (const name of (await ifThere(readdir(folder))) ?? []) {
      const file = await ifThere(stat(join(folder, name)))
      if (file !== null && Date.now() - file.mtimeMs > strayAfterMs) await rm(join(folder, name), { force: true })
    }
  }
}

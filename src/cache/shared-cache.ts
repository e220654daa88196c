import { createHmac, type KeyObject, randomBytes } from 'node:crypto'
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { Redis, ReplyError } from 'ioredis'
import { LRUCache } from 'lru-cache'
import type { Log } from '../db/log.js'
import { DeadlineExceeded, within } from '../kernel/deadline.js'
import { derivedKey, openSecret, SealBrokenError, sealSecret } from '../sealing/secret-box.js'
import type { CacheTrouble } from './cache-figures.js'
import { dropScript, writeScript } from './redis-scripts.js'

export interface SharedCacheOptions {
  /** `redis://` or `rediss://`. */
  readonly url: string
  /** What all processes know and Redis does not: names and values are made from it. */
  readonly secret: KeyObject
  readonly log: Log
}

/** A group could not be dropped: Redis does not answer, and may still hold it. */
export class CacheUnavailableError extends Error {
  override readonly name = 'CacheUnavailableError'
}

/** How long somebody who could do without waits for Redis. */
const READ_TIMEOUT_MS = 50
const WRITE_TIMEOUT_MS = 1_000
const DROP_TIMEOUT_MS = 2_000
/** How often a Redis that did not answer is asked, by us, whether it is back. */
const PROBE_EVERY_MS = 250
const PROBE_TIMEOUT_MS = 1_000
const CONNECT_TIMEOUT_MS = 2_000
const SOCKET_TIMEOUT_MS = 3_000
const RECONNECT_MS_MAX = 2_000
/** How long a group lives, however often it is written to: nothing outlasts a drop that never came by more than this. */
export const GROUP_MS_MAX = 10 * 60_000
const NAMES_PER_GROUP_MAX = 200
const VALUE_BYTES_MAX = 1024 * 1024
const GROUPS_KNOWN_MAX = 10_000

/** What is known of one group: where it is, what seals it, and its fence as last heard of ('': there was no group). */
interface Group {
  readonly key: string
  readonly sealingKey: KeyObject
  fence: string
}

/**
 * What processes share in Redis, which is trusted with nothing: names are HMACs, values are sealed and bound to their
 * names, so that Redis can neither read, forge nor exchange them. It can keep an old one: a reader must be able to tell.
 * Values are in groups, one hash each; dropping a group deletes it, and whoever began to write before the drop finds
 * another fence and is refused. A Redis that fails costs one reader its time-out; after that nobody asks it until it
 * answers again.
 */
export class SharedCache {
  readonly troubles: Record<CacheTrouble, number> = { unavailable: 0, refused: 0, invalid: 0 }
  readonly #redis: Redis
  readonly #secret: KeyObject
  readonly #log: Log
  readonly #groups = new LRUCache<string, Group>({ max: GROUPS_KNOWN_MAX })
  readonly #stop = new AbortController()
  readonly #writes = new Set<Promise<void>>()
  #isUp = false
  #era = 0
  #saidDown = false
  #saidRefused = false
  #prober: Promise<void> | undefined

  private constructor({ url, secret, log }: SharedCacheOptions) {
    this.#secret = derivedKey(secret, 'hyrelog shared cache')
    this.#log = log
    this.#redis = new Redis(url, {
      lazyConnect: true,
      connectionName: 'hyrelog',
      // What can't be sent now is not worth sending later.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // A network that swallows everything ends no connection.
      socketTimeout: SOCKET_TIMEOUT_MS,
      retryStrategy: (times) => Math.min(times * 100, RECONNECT_MS_MAX),
    })
    // Every failure is that of a command, and counted there; unheard, this one would end the process.
    this.#redis.on('error', () => undefined)
    this.#redis.on('ready', () => this.#cameUp())
  }

  /** Begins to connect, in the background: nobody waits for it, and a Redis that isn't there changes nothing. */
  static open(options: SharedCacheOptions): SharedCache {
    const cache = new SharedCache(options)
    cache.#redis.connect().catch(() => undefined)
    cache.#probe()
    return cache
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Counts how often Redis came to be in use: what was written in an earlier era may be gone. */
  get era(): number {
    return this.#era
  }

  /** The group's fence as this process knows it: to be taken before what is written is read from where it comes from. */
  fence(group: string): string {
    return this.#group(group).fence
  }

  /** The value as it was written, or null: there is none, it is not ours, or Redis is of no use now. Never rejects. */
  async read(group: string, name: string): Promise<Buffer | null> {
    if (!this.#isUp) return null
    const own = this.#group(group)
    const field = this.#hmac(group, name)
    const reply = await this.#ask(READ_TIMEOUT_MS, () => this.#redis.hmgetBuffer(own.key, 'fence', field))
    const [fence, sealed] = reply ?? []
    if (reply !== null) own.fence = fence?.toString('latin1') ?? ''
    if (sealed === null || sealed === undefined) return null
    try {
      return openSecret(own.sealingKey, `${group}/${name}`, sealed)
    } catch (error) {
      if (!(error instanceof SealBrokenError)) throw error
      this.troubles.invalid++
      return null
    }
  }

  /**
   * Keeps a value, unless the group was dropped since `fence` was taken. Nobody waits for it; `onRefused` is told where
   * it was not kept.
   */
  write(group: string, name: string, value: Buffer, fence: string, onRefused: () => void): void {
    if (!this.#isUp || value.length > VALUE_BYTES_MAX) return
    const own = this.#group(group)
    const fresh = newFence()
    const sealed = sealSecret(own.sealingKey, `${group}/${name}`, value)
    const done = this.#ask(WRITE_TIMEOUT_MS, () =>
      this.#redis.eval(
        writeScript,
        1,
        own.key,
        fence,
        fresh,
        this.#hmac(group, name),
        sealed,
        GROUP_MS_MAX,
        NAMES_PER_GROUP_MAX,
      ),
    )
      .then((current) => {
        if (typeof current === 'string') own.fence = current
        if (current !== fence && current !== fresh) onRefused()
      })
      .finally(() => this.#writes.delete(done))
    this.#writes.add(done)
  }

  /**
   * Deletes a group; answers how many values it held. {@link CacheUnavailableError} where Redis doesn't do it: what it
   * holds then may still be there, for ten minutes at most.
   */
  async drop(group: string): Promise<number> {
    const own = this.#group(group)
    try {
      const dropped = await within(
        DROP_TIMEOUT_MS,
        this.#redis.eval(dropScript, 1, own.key, newFence(), GROUP_MS_MAX) as Promise<number>,
      )
      return dropped
    } catch (error) {
      throw new CacheUnavailableError(`Redis did not drop what it may hold: ${reasonOf(error)}`)
    }
  }

  /** Waits a moment for what is being written, then lets go of the connection. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all([this.#prober, ...this.#writes])
    this.#isUp = false
    this.#redis.disconnect()
  }

  #group(group: string): Group {
    let own = this.#groups.get(group)
    if (own === undefined) {
      own = {
        key: `hyrelog:1:${this.#hmac(group, '')}`,
        sealingKey: derivedKey(this.#secret, `group ${group}`),
        fence: '',
      }
      this.#groups.set(group, own)
    }
    return own
  }

  #hmac(group: string, name: string): string {
    return createHmac('sha256', this.#secret).update(`${group}\n${name}`).digest('base64url')
  }

  /** What Redis says, or null where it says nothing of use. Never rejects. */
  async #ask<T>(timeoutMs: number, send: () => Promise<T>): Promise<T | null> {
    try {
      const answer = await answered(timeoutMs, send())
      this.#saidRefused = false
      return answer
    } catch (error) {
      if (error instanceof ReplyError) this.#refused(error)
      else this.#failed(error)
      return null
    }
  }

  /** It answers, with an error: full, loading, or the key is something else. */
  #refused(error: unknown): void {
    this.troubles.refused++
    if (!this.#saidRefused)
      this.#log.warn({ reason: reasonOf(error) }, 'Redis refuses; events are read without it where it does')
    this.#saidRefused = true
  }

  #failed(error: unknown): void {
    this.troubles.unavailable++
    this.#isUp = false
    this.#sayDown(error)
    this.#probe()
  }

  #sayDown(error: unknown): void {
    if (!this.#saidDown)
      this.#log.warn({ reason: reasonOf(error) }, 'Redis does not answer; events are read without it')
    this.#saidDown = true
  }

  #probe(): void {
    if (this.#stop.signal.aborted) return
    this.#prober ??= this.#probeUntilUp().finally(() => {
      this.#prober = undefined
    })
  }

  async #probeUntilUp(): Promise<void> {
    for (let attempt = 1; !this.#stop.signal.aborted && !this.#isUp; attempt++) {
      try {
        await within(PROBE_TIMEOUT_MS, this.#redis.ping())
        this.#cameUp()
      } catch (error) {
        // At a start it may only be that the connection is not made yet.
        if (attempt > 4) this.#sayDown(error)
      }
      // The only way it rejects is the stop, which the loop sees by itself.
      await wait(PROBE_EVERY_MS, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined)
    }
  }

  #cameUp(): void {
    if (!this.#isUp) this.#era++
    this.#isUp = true
    if (this.#saidDown) this.#log.info({}, 'Redis answers again')
    this.#saidDown = false
  }
}

/**
 * `within`, but for time that this process was busy itself: an answer that has come in meanwhile counts, or a Redis would
 * be given up because we are slow.
 */
async function answered<T>(ms: number, work: Promise<T>): Promise<T> {
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  try {
    return await within(ms, over)
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) throw error
    // Timers come before what has arrived, immediates after it.
    await nextTurn()
    await nextTurn()
    if (isOver) return over
    throw error
  }
}

/** The error itself carries the command with all its values, which may be the password. */
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const newFence = (): string => randomBytes(12).toString('base64url')

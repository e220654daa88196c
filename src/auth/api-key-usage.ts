import type { Database } from '../db/database.js'

const FLUSH_EVERY_MS = 10_000
const WRITE_AGAIN_AFTER_MS = 60_000
const KEYS_NOTED_MAX = 10_000
const FLUSH_TIMEOUT_MS = 5_000

/**
 * When keys were last used: gathered in memory and written in batches, each key at most once a minute, apart from the
 * requests that used them. It may lose a minute in a crash; it never delays or fails a request.
 */
export class ApiKeyUsage {
  readonly #control: Database
  readonly #onError: (error: unknown) => void
  #noted = new Map<string, Date>()
  readonly #writtenAtMs = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(options: { readonly control: Database; readonly onError: (error: unknown) => void }) {
    this.#control = options.control
    this.#onError = options.onError
  }

  /** Notes a use. Costs nothing but memory. */
  note(keyId: string, at: Date): void {
    const writtenAtMs = this.#writtenAtMs.get(keyId)
    if (writtenAtMs !== undefined && Math.abs(at.getTime() - writtenAtMs) < WRITE_AGAIN_AFTER_MS) return
    if (this.#noted.size < KEYS_NOTED_MAX || this.#noted.has(keyId)) this.#noted.set(keyId, at)
  }

  start(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => {
      this.flush().catch(this.#onError)
    }, FLUSH_EVERY_MS)
    this.#timer.unref()
  }

  /** Writes what was noted, once more, and stops. Rejects where it can't be written. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.flush()
  }

  /** Writes what was noted. What can't be written is kept for the next time. Throws DatabaseError. */
  flush(): Promise<void> {
    const flushing = this.#flushing.catch(() => undefined).then(() => this.#write())
    // Each caller hears of its own flush; the chain only keeps them one after another.
    this.#flushing = flushing
    return flushing
  }

  async #write(): Promise<void> {
    const noted = this.#noted
    if (noted.size === 0) return
    this.#noted = new Map()
    try {
      await this.#control.query(
        `update api_key k set last_used_at = u.at
         from unnest($1::uuid[], $2::timestamptz[]) as u (id, at)
         where k.id = u.id and (k.last_used_at is null or k.last_used_at < u.at)`,
        [[...noted.keys()], [...noted.values()]],
        { timeoutMs: FLUSH_TIMEOUT_MS },
      )
    } catch (error) {
      for (const [id, at] of noted) if (!this.#noted.has(id)) this.#noted.set(id, at)
      throw error
    }
    if (this.#writtenAtMs.size >= KEYS_NOTED_MAX) this.#writtenAtMs.clear()
    for (const [id, at] of noted) this.#writtenAtMs.set(id, at.getTime())
  }
}

import { createHmac, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { CacheFigures, type CacheLevel } from '../cache/cache-figures.js'
import { GROUP_MS_MAX, type SharedCache } from '../cache/shared-cache.js'
import { canonicalJson } from '../kernel/canonical-json.js'
import type { Deadline } from '../kernel/deadline.js'
import type { Region } from '../kernel/region.js'
import type { RegionAnswer, RegionGateway } from '../regions/region-gateway.js'
import { filterFingerprint } from './event-filter.js'
import {
  type EventPageRequest,
  pageColumns,
  readEventPage,
  readVersionedPage,
  type StoredEvent,
} from './event-page.store.js'
import { type HeldPage, heldPage, PAGE_FORM, pageFromBytes, pageToBytes } from './held-page.js'

export interface FirstPagesOptions {
  readonly gateway: RegionGateway
  /** Names of pages are made with it: a filter may be about a person. */
  readonly secret: KeyObject
  /** The second level; undefined: none. */
  readonly shared: SharedCache | undefined
}

/** The first events of one region's list, of one company. */
export interface FirstPageRequest {
  readonly region: Region
  readonly companyId: string
  readonly deadline: Deadline
  /** For when the cut-offs of the workspaces were made. */
  readonly now: Date
  readonly page: EventPageRequest & { readonly position: null }
}

type PageAnswer = RegionAnswer<readonly StoredEvent[]>

/** The page that is held, if any, and where. */
interface Finding {
  readonly held: HeldPage | null
  readonly level: CacheLevel
}

const nothingHeld: Finding = { held: null, level: 'memory' }

/** What asking for a page over and over has come to. */
interface Worth {
  /** How often in a row it had changed since it was held. */
  changes: number
  /** How many times it is read without looking whether it is still the same. */
  pause: number
}

/** A question that has not been sent yet. */
interface Unsent {
  readonly mark: symbol
  readonly answer: Promise<PageAnswer>
}

const MEMORY_BYTES_MAX = 32 * 1024 * 1024
const PAGES_MAX = 10_000
const QUESTIONS_MAX = 20_000
/** A page that had changed so often in a row is left alone for some time, doubled with each change from then on. */
const CHANGES_MAX = 3
const PAUSE_MAX = 32
/** Redis forgets what it was given longer ago than twice this. */
const RESHARE_MS = GROUP_MS_MAX / 2
const HOUR_MS = 3_600_000

/**
 * First pages that were read before, in memory and, once one has been asked for again unchanged, in Redis. A page is
 * never believed: with each question goes the version of the page that is held, in the one statement that reads the
 * page, and the database sends events only where its chains are in another state (see `readVersionedPage`). So an event
 * is in the next page as soon as it is committed, by whichever process, and what an erasure took away is in none; and a
 * region that does not answer is not answered for. Asking for the version costs something too: what is asked for the
 * first time, or changes with each question, is read as if there were no cache.
 */
export class FirstPages {
  readonly figures = new CacheFigures()
  readonly #options: FirstPagesOptions
  readonly #held = new LRUCache<string, HeldPage>({
    max: PAGES_MAX,
    maxSize: MEMORY_BYTES_MAX,
    sizeCalculation: ({ bytes }) => bytes,
  })
  readonly #worth = new LRUCache<string, Worth>({ max: QUESTIONS_MAX })
  /** Questions that have not been sent yet. What they find is still to come: whoever asks the same now may join. */
  readonly #unsent = new Map<string, Unsent>()
  /** Counts what was dropped, so that a page read before is not kept after. */
  #drops = 0

  constructor(options: FirstPagesOptions) {
    this.#options = options
  }

  /** Pages in memory. */
  get size(): number {
    return this.#held.size
  }

  /** What {@link RegionGateway.read} would answer to this request. */
  async read(request: FirstPageRequest): Promise<PageAnswer> {
    const { region, companyId, deadline, page } = request
    // A region without workspaces of the company: nothing to look for, only whether it answers.
    if (page.workspaces.length === 0)
      return this.#options.gateway.read(region, [companyId], deadline, async () => [], [])
    const name = this.#nameOf(request)
    const unsent = this.#unsent.get(name)
    if (unsent !== undefined) {
      const joined = await unsent.answer
      // Theirs was the earlier deadline.
      if (joined.status !== 'UNAVAILABLE') return joined
    }
    const mark = Symbol(name)
    let isSent = false
    const onSent = (): void => {
      isSent = true
      if (this.#unsent.get(name)?.mark === mark) this.#unsent.delete(name)
    }
    const answer = this.#ask(name, request, onSent).finally(onSent)
    if (!isSent) this.#unsent.set(name, { mark, answer })
    return answer
  }

  /** Forgets the pages of a region, in this process: personal data in them has been erased. */
  forget(region: Region): void {
    this.#drops++
    for (const [name, held] of this.#held.entries()) if (held.region === region) this.#held.delete(name)
  }

  /**
   * Deletes the pages of a company in a region here and in Redis; answers how many were there. `CacheUnavailableError`
   * where Redis does not answer.
   */
  async drop(region: Region, companyId: string): Promise<number> {
    this.forget(region)
    return (await this.#options.shared?.drop(groupOf(region, companyId))) ?? 0
  }

  async #ask(name: string, request: FirstPageRequest, onSent: () => void): Promise<PageAnswer> {
    const { gateway, shared } = this.#options
    const { region, companyId, deadline, page } = request
    const group = groupOf(region, companyId)
    // Before anything is read: what is dropped from now on is not kept after all.
    const fence = shared?.fence(group) ?? ''
    const drops = this.#drops
    const worth = this.#worth.get(name) ?? { changes: 0, pause: 0 }
    const isNew = !this.#worth.has(name)
    if (isNew) this.#worth.set(name, worth)
    const isPaused = worth.pause > 0
    if (isPaused) worth.pause--
    const { held, level } = isPaused ? nothingHeld : await this.#find(name, request)
    const isPlain = isPaused || (isNew && held === null)
    return gateway.read(
      region,
      [companyId],
      deadline,
      async (tx, _, servedBy) => {
        onSent()
        // What a replica has is read anew each time: its events are opened with keys of another region.
        if (isPlain || servedBy !== region) {
          this.figures.misses++
          return readEventPage(tx, { region, servedBy }, page)
        }
        const found = await readVersionedPage(tx, page, held?.version ?? null)
        if (found === null && held !== null) {
          this.figures.hits[level]++
          worth.changes = 0
          if (level === 'memory') this.#share(name, group, held, fence)
          else if (drops === this.#drops) this.#held.set(name, held)
          return held.events
        }
        this.figures.misses++
        const fresh = heldPage(request, found!)
        if (held !== null && ++worth.changes >= CHANGES_MAX) {
          worth.pause = Math.min(2 ** worth.changes, PAUSE_MAX)
          this.#held.delete(name)
        } else if (drops === this.#drops) this.#held.set(name, fresh)
        return fresh.events
      },
      page.workspaces.map(({ id }) => id),
    )
  }

  /** The page as it was when it was last read, if that can still be shown. */
  async #find(name: string, { region, companyId, now }: FirstPageRequest): Promise<Finding> {
    const { shared } = this.#options
    const held = this.#held.get(name) ?? null
    const nowMs = now.getTime()
    // A clock that was set back would show what was out of sight when the page was read.
    const isShown = (one: HeldPage) => one.readAtMs <= nowMs && nowMs < one.shownUntilMs
    if (held !== null) return { held: isShown(held) ? held : null, level: 'memory' }
    const sharing = { era: shared?.era ?? 0, atMs: performance.now() }
    const bytes = (await shared?.read(groupOf(region, companyId), name)) ?? null
    const found = bytes === null ? null : pageFromBytes(region, bytes, sharing)
    return { held: found !== null && isShown(found) ? found : null, level: 'redis' }
  }

  /** Hands a page on that was asked for again unchanged: one that changes with each question is not worth the way. */
  #share(name: string, group: string, held: HeldPage, fence: string): void {
    const { shared } = this.#options
    if (shared === undefined || !shared.isUp) return
    const atMs = performance.now()
    const { era } = shared
    if (held.shared?.era === era && atMs - held.shared.atMs < RESHARE_MS) return
    held.shared = { era, atMs }
    shared.write(group, name, pageToBytes(held), fence, () => {
      held.shared = undefined
    })
  }

  /** The same for the same question; says nothing of it to who lacks the secret. */
  #nameOf({ region, companyId, page }: FirstPageRequest): string {
    const { workspaces, filter, direction, limit, withBlobs } = page
    const question = canonicalJson({
      form: PAGE_FORM,
      region,
      companyId,
      // To the hour: that tells one retention from another, and the page itself knows from when to when it may be shown.
      workspaces: workspaces.map(({ id, cutoff }) => [id, Math.floor(cutoff.getTime() / HOUR_MS)]),
      filter: filterFingerprint(filter),
      direction,
      limit,
      columns: pageColumns(withBlobs),
    })
    return createHmac('sha256', this.#options.secret).update(question).digest('base64url')
  }
}

/** What is dropped together: an erasure is about one company, region by region. */
const groupOf = (region: Region, companyId: string): string => `pages ${region} ${companyId}`

import type { Deadline } from '../kernel/deadline.js'
import type { KeysetPosition } from '../kernel/cursor.js'
import type { Region } from '../kernel/region.js'
import type { DirectTransaction } from '../db/database.js'
import { mergePages, type SourcePage } from '../regions/merge-pages.js'
import type { RegionAnswer, RegionGateway } from '../regions/region-gateway.js'
import type { EventPlace, StoredEvent } from './event-page.store.js'

/** A page to be read from several regions. */
export interface MergedPageRequest {
  readonly regions: readonly Region[]
  readonly companies: readonly string[]
  readonly deadline: Deadline
  readonly compare: (a: StoredEvent, b: StoredEvent) => number
  /** Exclusive; null: from the end of the list. */
  readonly position: KeysetPosition | null
  readonly size: number
  /** The workspaces of a region that the page is about. */
  workspacesIn(this: void, region: Region): readonly string[]
  /** At most `limit` events of a region, in the order of `compare`. */
  read(tx: DirectTransaction, place: EventPlace, position: KeysetPosition | null, limit: number): Promise<StoredEvent[]>
  /** What the gateway says to `read` from the end of the list; somebody may know it already. */
  readFirst(region: Region, limit: number): Promise<RegionAnswer<readonly StoredEvent[]>>
}

export interface MergedPage extends SourcePage<StoredEvent> {
  /** How each region answered, in the order they were asked for. */
  readonly answers: readonly RegionAnswer<SourcePage<StoredEvent>>[]
}

/** How much more than an even share of the page a region is asked for at first. */
const shareFactor = 1.6

/**
 * One page of several regions. Each is asked for somewhat more than its share of the page: asking each for a whole page
 * would read, carry and throw away most of it. A region that turns out to hold more of the page is asked once more, for
 * all it could still have to give.
 */
export async function readMergedPage(gateway: RegionGateway, request: MergedPageRequest): Promise<MergedPage> {
  const { regions, companies, deadline, compare, size } = request
  const first = regions.length < 2 ? size : Math.min(size, Math.ceil((size / regions.length) * shareFactor))
  const answers =
    request.position !== null
      ? await gateway.readEach(
          regions,
          companies,
          deadline,
          async (tx, region, servedBy) =>
            pageOf(await request.read(tx, { region, servedBy }, request.position, first + 1), first),
          request.workspacesIn,
        )
      : await Promise.all(regions.map(async (region) => cut(await request.readFirst(region, first + 1), first)))
  for (;;) {
    const pages = answers.map((answer) => (answer.status === 'UNAVAILABLE' ? nothing : answer.value))
    const merged = mergePages(pages, compare, size)
    const last = merged.items.at(-1)
    if (merged.items.length === size || !merged.more || last === undefined) return { ...merged, answers }
    await Promise.all(
      answers.map(async (answer, index) => {
        const known = pages[index]!
        const end = known.items.at(-1)
        if (!known.more || end === undefined || compare(end, last) > 0) return
        const position = { timeMs: end.occurredAt.getTime(), uuid: end.id }
        const left = size - known.items.length
        const rest = await gateway.read(
          answer.region,
          companies,
          deadline,
          async (tx, region, servedBy) =>
            pageOf(await request.read(tx, { region, servedBy }, position, left + 1), left),
          request.workspacesIn(answer.region),
        )
        answers[index] = joined(answer, known, rest)
      }),
    )
  }
}

const nothing: SourcePage<never> = { items: [], more: false }

const pageOf = (found: readonly StoredEvent[], size: number): SourcePage<StoredEvent> => ({
  items: found.slice(0, size),
  more: found.length > size,
})

const cut = (answer: RegionAnswer<readonly StoredEvent[]>, size: number): RegionAnswer<SourcePage<StoredEvent>> =>
  answer.status === 'UNAVAILABLE' ? answer : { ...answer, value: pageOf(answer.value, size) }

/** What a region said in two parts. Without the second the first counts for nothing: there would be a gap after it. */
function joined(
  first: RegionAnswer<unknown>,
  known: SourcePage<StoredEvent>,
  rest: RegionAnswer<SourcePage<StoredEvent>>,
): RegionAnswer<SourcePage<StoredEvent>> {
  const latencyMs = Math.round((first.latencyMs + rest.latencyMs) * 100) / 100
  if (rest.status === 'UNAVAILABLE') return { ...rest, latencyMs }
  const value = { items: [...known.items, ...rest.value.items], more: rest.value.more }
  return first.status === 'SERVED_BY_REPLICA' ? { ...first, latencyMs, value } : { ...rest, latencyMs, value }
}

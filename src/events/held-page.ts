import type { TextRow } from '../db/text-row.js'
import type { Region } from '../kernel/region.js'
import { type EventPageRequest, StoredEvent, type VersionedRows } from './event-page.store.js'

/** A page as its region's database sent it, sealed as it is there, and the state of the chains that it shows. */
export interface HeldPage {
  readonly region: Region
  readonly version: string
  readonly rows: readonly TextRow[]
  readonly events: readonly StoredEvent[]
  /** By the clock of who read it. */
  readonly readAtMs: number
  /** From then on one of its events is past its retention. */
  readonly shownUntilMs: number
  /** About how much memory it takes. */
  readonly bytes: number
  /** That it is in Redis, or on the way; undefined: it is not. */
  shared: Sharing | undefined
}

/** When a page was handed on. */
export interface Sharing {
  /** See `SharedCache.era`. */
  readonly era: number
  readonly atMs: number
}

/** Beside the texts themselves: the objects around them, and the events once they are decoded. */
const BYTES_PER_ROW = 1_500

interface PageAsked {
  readonly region: Region
  /** For when the cut-offs of the workspaces were made. */
  readonly now: Date
  readonly page: EventPageRequest
}

/** A page that has just been read. */
export function heldPage({ region, now, page }: PageAsked, { version, rows }: VersionedRows): HeldPage {
  const events = rows.map((row) => new StoredEvent(row, { region, servedBy: region }))
  const cutoffs = new Map(page.workspaces.map(({ id, cutoff }) => [id, cutoff.getTime()]))
  const leftMs = events.map((event) => event.receivedAt.getTime() - cutoffs.get(event.workspaceId)!)
  const readAtMs = now.getTime()
  return held(region, { version, rows, events, readAtMs, shownUntilMs: readAtMs + Math.min(...leftMs) })
}

/** Another one for each change of what {@link pageToBytes} writes: processes of two versions run side by side. */
export const PAGE_FORM = 1

/** What {@link pageFromBytes} reads. */
export const pageToBytes = ({ version, rows, readAtMs, shownUntilMs }: HeldPage): Buffer =>
  Buffer.from(
    JSON.stringify({ version, rows, readAtMs, shownUntilMs: Number.isFinite(shownUntilMs) ? shownUntilMs : null }),
  )

/** The page of these bytes, which were ours: whoever keeps them makes sure of that. */
export function pageFromBytes(region: Region, bytes: Buffer, shared: Sharing): HeldPage {
  const { version, rows, readAtMs, shownUntilMs } = JSON.parse(bytes.toString('utf8')) as {
    version: string
    rows: TextRow[]
    readAtMs: number
    shownUntilMs: number | null
  }
  const events = rows.map((row) => new StoredEvent(row, { region, servedBy: region }))
  return { ...held(region, { version, rows, events, readAtMs, shownUntilMs: shownUntilMs ?? Infinity }), shared }
}

function held(
  region: Region,
  page: Pick<HeldPage, 'version' | 'rows' | 'events' | 'readAtMs' | 'shownUntilMs'>,
): HeldPage {
  let bytes = BYTES_PER_ROW
  for (const row of page.rows) {
    bytes += BYTES_PER_ROW
    for (const text of row) bytes += text?.length ?? 0
  }
  return { region, ...page, bytes, shared: undefined }
}

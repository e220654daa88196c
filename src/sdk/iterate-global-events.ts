import type {
  AuditEventFieldsFragment,
  EventFilter,
  GlobalEventsQuery,
  GlobalEventsQueryVariables,
  Region,
} from './generated/sdk.js'
import { HyreLogError } from './hyrelog-error.js'
import type { RequestOptions } from './transport.js'

/** How one region answered for a page. */
export type RegionReport = NonNullable<GlobalEventsQuery['globalEvents']>['regions'][number]

export interface IterateGlobalEventsOptions {
  readonly filter?: EventFilter
  /** Ask these regions only; all that hold the company's events unless given. */
  readonly regions?: readonly Region[]
  /** The key's company unless given. */
  readonly companyId?: string
  /** Events per request, 1–500: 100 unless given. */
  readonly pageSize?: number
  /**
   * Called with the regions' reports for each page that misses a region's events; the iteration then goes on without
   * them. Without it such a page is an `INCOMPLETE_PAGE` error: a gap is never passed over in silence.
   */
  readonly onIncomplete?: (regions: readonly RegionReport[]) => void
  readonly signal?: AbortSignal
}

interface GlobalEventsOperation {
  globalEvents(variables: GlobalEventsQueryVariables, options?: RequestOptions): Promise<GlobalEventsQuery>
}

const pageSizeDefault = 100

/**
 * Every event of a search over all regions, newest first, to the end. Throws `HyreLogError`: `INCOMPLETE_PAGE` (with
 * `regions`) as {@link IterateGlobalEventsOptions.onIncomplete} says, `NOT_FOUND` where the company is not the caller's.
 */
export async function* iterateGlobalEvents(
  client: GlobalEventsOperation,
  options: IterateGlobalEventsOptions,
): AsyncGenerator<AuditEventFieldsFragment, void, undefined> {
  const requestOptions: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  let after: string | null = null
  for (;;) {
    const answer: GlobalEventsQuery = await client.globalEvents(
      {
        companyId: options.companyId,
        filter: options.filter,
        regions: options.regions,
        first: options.pageSize ?? pageSizeDefault,
        after,
      },
      requestOptions,
    )
    const page = answer.globalEvents
    if (page === null) throw new HyreLogError('NOT_FOUND', 'Company not found.')
    if (!page.complete) {
      if (options.onIncomplete === undefined) throw incompletePage(page.regions)
      options.onIncomplete(page.regions)
    }
    for (const edge of page.edges) yield edge.node
    if (!page.pageInfo.hasNextPage || page.pageInfo.endCursor === null) return
    after = page.pageInfo.endCursor
  }
}

/** Why events of a region may be missing from a page; null where none are. */
function faultOf({
  status,
  region,
  servedBy,
  reason,
  replicationLagEvents,
  pendingWrites,
}: RegionReport): string | null {
  if (status === 'UNAVAILABLE') return reason ?? 'unavailable'
  if (servedBy !== region && replicationLagEvents !== 0) return `a replica in ${servedBy} that may be behind`
  return pendingWrites ? 'some wait to be recorded' : null
}

function incompletePage(reports: readonly RegionReport[]): HyreLogError {
  const missing = reports.filter((report) => faultOf(report) !== null)
  const reasons = missing.map((report) => `${report.region} (${faultOf(report)})`).join(', ')
  return new HyreLogError('INCOMPLETE_PAGE', `Events are missing from this page: ${reasons}.`, {
    regions: missing.map((report) => report.region),
  })
}

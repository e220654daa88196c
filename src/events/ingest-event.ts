import type { Viewer } from '../auth/viewer.js'
import type { Clock } from '../kernel/clock.js'
import type { InputFault } from '../kernel/domain-error.js'
import { recordableWorkspace, recordEvents, type IngestDeps } from './accept-events.js'
import type { IngestInput } from './ingest-input.js'
import type { Receipt } from './receipt.js'
import { validateIngestEvent } from './validate-ingest.js'

/**
 * Records one event in the workspace of the calling workspace key, and answers once it is committed in the workspace's
 * region. `textFaults` are those found in the request's text, their fields as in the input (`payload.x`).
 *
 * `UNAUTHENTICATED`, `FORBIDDEN`, `WORKSPACE_ARCHIVED`, `BAD_USER_INPUT` (with `field` and up to 100 `faults`),
 * `NOT_FOUND` (project), `IDEMPOTENCY_CONFLICT`, `RATE_LIMITED`, `REGION_UNAVAILABLE`.
 */
export async function ingestEvent(
  deps: IngestDeps,
  viewer: Viewer,
  input: IngestInput,
  clock: Clock = deps.clock,
  textFaults: readonly InputFault[] = [],
): Promise<Receipt> {
  const workspace = recordableWorkspace(viewer)
  const { known } = deps.committers.of(workspace.dataRegion)
  const receivedAt = clock.now()
  const valid = validateIngestEvent(input, receivedAt, textFaults)
  const acceptance = { known, receivedAt: [receivedAt] }
  const [receipt] = await recordEvents({ ...deps, clock }, workspace, [valid], acceptance, () => '')
  if (receipt === undefined) throw new Error('a recorded draft has a receipt')
  return receipt
}

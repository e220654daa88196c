import type { Viewer } from '../auth/viewer.js'
import type { Clock } from '../kernel/clock.js'
import type { InputFault } from '../kernel/domain-error.js'
import { recordableWorkspace, recordEvents, type IngestDeps } from './accept-events.js'
import type { IngestInput } from './ingest-input.js'
import type { Receipt } from './receipt.js'
import { EVENTS_PER_CALL_MAX, validateIngestEvents } from './validate-ingest.js'

/**
 * Records 1 to 1000 events in the workspace of the calling workspace key, in order, all or none, and answers a receipt
 * for each once they are committed. The clock is asked once for each event, in their order: an import may set it back.
 * `textFaults` are those found in the request's text, their fields as in the input (`events[3].payload.x`).
 *
 * Errors as of `ingestEvent`; fields begin with `events[n].`.
 */
export async function ingestEvents(
  deps: IngestDeps,
  viewer: Viewer,
  inputs: readonly IngestInput[],
  clock: Clock = deps.clock,
  textFaults: readonly InputFault[] = [],
): Promise<readonly Receipt[]> {
  const workspace = recordableWorkspace(viewer)
  const { known } = deps.committers.of(workspace.dataRegion)
  const receivedAt = inputs.slice(0, EVENTS_PER_CALL_MAX).map(() => clock.now())
  const valid = validateIngestEvents(inputs, receivedAt, textFaults)
  return recordEvents({ ...deps, clock }, workspace, valid, { known, receivedAt }, (index) => `events[${index}].`)
}

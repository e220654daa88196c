import { createHash } from 'node:crypto'
import type { JsonObject } from '../kernel/canonical-json.js'
import { buildKeyRotation } from '../ledger/key-rotation.js'
import { draftSystemEvent } from '../events/draft-system-event.js'
import type { EventDraft, EventPlace } from '../events/event-draft.js'
import type { SigningKey } from './signing-keys.js'

/**
 * The event by which a chain learns that another key signs its checkpoints from now on, signed by both (ledger format,
 * section 4). Several processes may announce the same change at once: the event is recorded once.
 */
export function draftKeyAnnouncement(
  place: EventPlace,
  former: SigningKey,
  current: SigningKey,
  now: Date,
): EventDraft {
  const keyRotation = buildKeyRotation(current.name, former, current)
  const system: JsonObject = { keyRotation: { ...keyRotation } }
  const digest = (what: string): Buffer =>
    createHash('sha256').update(`ledger.key\0${what}\0${place.workspaceId}\0${former.id}\0${current.id}`).digest()
  return draftSystemEvent(place, {
    action: 'ledger.key',
    system,
    receivedAt: now,
    idempotency: { keyDigest: digest('key'), fingerprint: digest('content'), field: 'keyRotation' },
  })
}

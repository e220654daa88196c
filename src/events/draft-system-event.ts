import type { JsonObject } from '../kernel/canonical-json.js'
import { newUuid } from '../kernel/ids.js'
import { buildBody } from '../ledger/index.js'
import type { EventDraft, EventPlace } from './event-draft.js'
import type { IdempotencyMark } from './idempotency.js'

/** The category of the service's own events. Clients can't use it. */
export const SYSTEM_CATEGORY = 'system'

/**
 * Fixes an event of the service's own: what makes it one is the member `system` of its body (ledger format HL1, section
 * 2). It discloses nothing, and is recorded by the same committers as every other event.
 */
export function draftSystemEvent(
  place: EventPlace,
  event: {
    /** Such as `ledger.key`; begins with a word that clients can't use. */
    readonly action: string
    readonly system: JsonObject
    readonly receivedAt: Date
    /** Where the same event may be recorded by several processes at once. */
    readonly idempotency: IdempotencyMark | null
  },
): EventDraft {
  const { region, companyId, workspaceId } = place
  const { action, receivedAt, system, idempotency } = event
  const id = newUuid(receivedAt.getTime())
  const time = receivedAt.toISOString()
  const { body, bodyHash } = buildBody(
    {
      id,
      workspace: workspaceId,
      company: companyId,
      region,
      project: null,
      action,
      category: SYSTEM_CATEGORY,
      targetType: null,
      occurredAt: time,
      receivedAt: time,
      system,
    },
    [],
  )
  return {
    region,
    companyId,
    workspaceId,
    id,
    projectId: null,
    action,
    category: SYSTEM_CATEGORY,
    targetType: null,
    occurredAt: receivedAt,
    receivedAt,
    body,
    bodyHash,
    tags: { actorId: null, actorEmail: null, targetId: null, traceId: null },
    subject: { companyId, workspaceId, actorId: null, actorEmail: null },
    identityText: null,
    contentText: null,
    idempotency,
    bytes: 2 * body.length,
  }
}

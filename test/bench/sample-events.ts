import { createHash } from 'node:crypto'

/** An `IngestEventInput` as a client sends it. Every field a filter knows is set. */
export interface SampleEvent {
  readonly action: string
  readonly category: string
  readonly actor: { readonly id: string; readonly email: string; readonly name: string }
  readonly target: { readonly id: string; readonly type: string }
  readonly payload: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, unknown>>
  readonly traceId: string
  readonly occurredAt: string
  readonly projectId?: string
}

/** The value a quarter of all events share, in each field that filters know: a search for it has a hundredth page. */
export const commonValues = {
  action: 'document.opened',
  category: 'documents',
  actorId: 'user-common',
  actorEmail: 'common@example.com',
  targetType: 'document',
  targetId: 'doc-common',
  traceId: 'trace-common',
} as const

const actions = [
  'document.shared',
  'document.deleted',
  'login.succeeded',
  'login.failed',
  'role.granted',
  'key.rotated',
]
const categories = ['access', 'identity', 'administration', 'billing']
const targetTypes = ['folder', 'user', 'role', 'invoice']
/** How many different people the rest of the events are by. */
const actorCount = 5000
const yearMs = 365 * 24 * 3600 * 1000

/** Small, fast and repeatable (mulberry32): both sides of a comparison get the same events. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function pick<T>(items: readonly T[], random: () => number): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

/** An event of about 600 bytes at a random time of the year before `nowMs`. */
export function sampleEvent(random: () => number, nowMs: number, projectId?: string): SampleEvent {
  const common = (): boolean => random() < 0.25
  const isCommonActor = common()
  const person = Math.floor(random() * actorCount)
  const serial = Math.floor(random() * 2 ** 40)
  return {
    action: common() ? commonValues.action : pick(actions, random),
    category: common() ? commonValues.category : pick(categories, random),
    actor: isCommonActor
      ? { id: commonValues.actorId, email: commonValues.actorEmail, name: 'Common Actor' }
      : { id: `user-${person}`, email: `person.${person}@example.com`, name: `Person ${person}` },
    target: {
      id: common() ? commonValues.targetId : `object-${serial % 100_000}`,
      type: common() ? commonValues.targetType : pick(targetTypes, random),
    },
    payload: {
      ip: `198.51.${serial % 256}.${person % 256}`,
      userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
      path: `/workspaces/main/documents/${serial.toString(36)}`,
      outcome: person % 7 === 0 ? 'denied' : 'granted',
      bytes: serial % 1_000_000,
    },
    metadata: { requestId: serial.toString(16), release: '2026.11.1' },
    traceId: common() ? commonValues.traceId : `trace-${serial.toString(36)}`,
    occurredAt: new Date(nowMs - Math.floor(random() * yearMs)).toISOString(),
    ...(projectId !== undefined && random() < 0.9 ? { projectId } : {}),
  }
}

/** Sixteen bytes that stand for a text, as our tags do; the bare side has no key to make them with. */
export const digest16 = (text: string): Buffer => createHash('md5').update(text).digest()

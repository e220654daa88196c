import type { ActorInput, IngestInput } from '../events/ingest-input.js'
import { demoActions, type DemoScene } from './demo-actions.js'
import { seededRandom, type SeededRandom } from './seeded-random.js'

/** Fifteen months, so that every retention period of the demo has events on both sides of it. */
export const DEMO_SPAN_MS = 456 * 86_400_000
const NEWEST_AGE_MS = 20 * 60_000
/** Above 1, the newer the denser: a product that is used more and more. */
const GROWTH = 1.6
const TRACED_SHARE = 0.3
const PROJECT_SHARE = 0.7

export interface DemoEvent {
  readonly input: IngestInput
  /** When it happened and was received. */
  readonly at: Date
}

const firstNames = ['Amara', 'Bruno', 'Chiara', 'Dmitri', 'Elif', 'Farah', 'Goran', 'Hana', 'Ivo', 'Jun'] as const
const lastNames = [
  'Okafor',
  'Silva',
  'Conti',
  'Petrov',
  'Yilmaz',
  'Haddad',
  'Novak',
  'Suzuki',
  'Horvat',
  'Park',
] as const
const agents = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15',
  'mobile/4.2 (iOS 26.1)',
] as const

/**
 * The events of a demo workspace, oldest first: the same ones whenever they are made for the same place and moment, so
 * that a seeding that was cut short goes on after those that are recorded.
 */
export function demoEvents(place: {
  readonly companySlug: string
  readonly workspaceSlug: string
  /** API ids. */
  readonly projectIds: readonly string[]
  readonly until: Date
  readonly count: number
}): DemoEvent[] {
  const random = seededRandom(`${place.companySlug}/${place.workspaceSlug}`)
  const people = castOf(place.companySlug)
  const times = Array.from({ length: place.count }, () => 1 - random.next() ** GROWTH).sort((a, b) => a - b)
  const startMs = place.until.getTime() - DEMO_SPAN_MS
  const spanMs = DEMO_SPAN_MS - NEWEST_AGE_MS
  return times.map((part) => ({
    at: new Date(startMs + Math.floor(part * spanMs)),
    input: inventEvent(random, people, place.projectIds),
  }))
}

function inventEvent(random: SeededRandom, people: readonly Person[], projectIds: readonly string[]): IngestInput {
  const scene: DemoScene = { random, someone: () => random.pick(people), number: () => 1_000 + random.integer(9_000) }
  const { automatic, ...event } = random.pick(demoActions)(scene)
  const projectId = projectIds[random.integer(projectIds.length)]
  return {
    ...event,
    ...(automatic === true
      ? { actor: { id: 'svc_scheduler', name: 'Scheduler' } }
      : {
          actor: random.pick(people),
          metadata: { ip: `203.0.113.${1 + random.integer(254)}`, userAgent: random.pick(agents) },
        }),
    ...(projectId !== undefined && random.next() < PROJECT_SHARE ? { projectId } : {}),
    ...(random.next() < TRACED_SHARE ? { traceId: random.hex(32) } : {}),
  }
}

type Person = ActorInput & { readonly id: string; readonly email: string; readonly name: string }

/** The people of a company: the same in all of its workspaces. */
export function castOf(companySlug: string): readonly Person[] {
  const random = seededRandom(companySlug)
  return firstNames.map((first, i) => {
    const last = lastNames[(i + random.integer(lastNames.length)) % lastNames.length]!
    const email = `${first}.${last}@${companySlug}.example`.toLowerCase()
    return { id: `usr_${random.hex(8)}`, email, name: `${first} ${last}` }
  })
}

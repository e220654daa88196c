import { apiKeyHmac } from '../auth/api-key.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { ingestEvents } from '../events/ingest-events.js'
import type { IngestDeps } from '../events/accept-events.js'
import type { Clock } from '../kernel/clock.js'
import { encodeId } from '../kernel/ids.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import { allSettled } from './all-settled.js'
import { makeDemoDirectory, type DemoDirectoryDeps, type MadeCompany, type MadeWorkspace } from './demo-directory.js'
import { DEMO_SPAN_MS, demoEvents, type DemoEvent } from './demo-events.js'
import { makeDemoRequests } from './demo-gdpr.js'
import { readDemoPlan, readDemoWorld, writeDemoPlan, writeDemoWorld, type DemoWorld } from './demo-files.js'
import { planDemo } from './demo-plan.js'

const EVENTS_PER_CALL = 200
const SEQUENCE_TIMEOUT_MS = 5_000

export interface SeedDemoDeps extends DemoDirectoryDeps {
  readonly facts: ControlFacts
  readonly registry: RegionRegistry
  readonly ingest: IngestDeps
  readonly subjectKeys: SubjectKeys
  readonly dataDir: string
  /** Where the API answers, for `demo.json`. */
  readonly endpoint: string
  readonly internalToken: string
}

/** Whether the demo world was made, to its end, in this data directory. */
export const demoExists = async (dataDir: string): Promise<boolean> => (await readDemoWorld(dataDir)) !== null

/**
 * Makes the demo world: companies with workspaces in four regions, users, keys, and events of the last fifteen months,
 * recorded as any others are, with a clock set back. `DATA_DIR/demo.json` appears when all of it is there. What was cut
 * short goes on where it stopped; what exists is not made again, and its `demo.json` only learns a new endpoint.
 */
export async function seedDemo(deps: SeedDemoDeps): Promise<DemoWorld> {
  const { dataDir, endpoint, internalToken } = deps
  const existing = await readDemoWorld(dataDir)
  if (existing !== null) {
    if (existing.endpoint === endpoint && existing.internalToken === internalToken) return existing
    const moved = { ...existing, endpoint, internalToken }
    await writeDemoWorld(dataDir, moved)
    return moved
  }
  const begun = await readDemoPlan(dataDir)
  const plan = begun ?? planDemo(deps.clock.now())
  if (begun === null) await writeDemoPlan(dataDir, plan)
  const until = new Date(plan.seededAt)
  const madeAt = new Date(until.getTime() - DEMO_SPAN_MS)
  const made = await makeDemoDirectory({ ...deps, clock: { now: () => madeAt } }, plan)
  await allSettled(
    made.flatMap((company) => company.workspaces.map((workspace) => recordPast(deps, company, workspace, until))),
  )
  await makeDemoRequests({ ...deps, clock: { now: () => until } }, made)
  const world: DemoWorld = {
    endpoint,
    internalToken,
    staff: plan.staff.map(({ email, password, staffRole }) => ({ email, password, staffRole })),
    companies: made.map(describeCompany),
  }
  await writeDemoWorld(dataDir, world)
  return world
}

/** Records the events of a workspace that it doesn't have yet. */
async function recordPast(
  deps: SeedDemoDeps,
  company: MadeCompany,
  workspace: MadeWorkspace,
  until: Date,
): Promise<void> {
  const viewer = await viewerOf(deps, workspace.plan.apiKey)
  const events = demoEvents({
    companySlug: company.plan.slug,
    workspaceSlug: workspace.plan.slug,
    projectIds: workspace.projects.map(({ id }) => encodeId('project', id)),
    until,
    count: workspace.plan.eventCount,
  })
  const done = await sequenceOf(deps, company.id, workspace)
  for (let from = done; from < events.length; from += EVENTS_PER_CALL) {
    const some = events.slice(from, from + EVENTS_PER_CALL)
    await ingestEvents(
      deps.ingest,
      viewer,
      some.map(({ input }) => input),
      stepping(some),
    )
  }
}

/** Ingest asks the clock once for each event, in their order. */
function stepping(events: readonly DemoEvent[]): Clock {
  let next = 0
  return { now: () => events[Math.min(next++, events.length - 1)]!.at }
}

async function viewerOf(deps: SeedDemoDeps, secret: string): Promise<Viewer> {
  const key = await deps.facts.apiKey(apiKeyHmac(deps.pepper, secret))
  if (key === null) throw new Error('A key of the demo world is missing right after it was made.')
  return { kind: 'apiKey', key }
}

/** How long the workspace's chain is: 0 before its first event. */
const sequenceOf = (deps: SeedDemoDeps, companyId: string, workspace: MadeWorkspace): Promise<number> =>
  deps.registry.use(workspace.plan.dataRegion, ({ database }) =>
    database.transaction({ companies: [companyId], readOnly: true, timeoutMs: SEQUENCE_TIMEOUT_MS }, async (tx) => {
      const rows = await tx.query<{ sequence: string }>('select sequence from chain_head where workspace_id = $1', [
        workspace.id,
      ])
      return Number(rows[0]?.sequence ?? 0)
    }),
  )

const describeCompany = ({ id, plan, workspaces }: MadeCompany): DemoWorld['companies'][number] => ({
  id: encodeId('company', id),
  name: plan.name,
  slug: plan.slug,
  dataRegion: plan.dataRegion,
  replicateTo: plan.replicateTo,
  apiKey: plan.apiKey,
  readOnlyApiKey: plan.readOnlyApiKey,
  users: plan.users.map(({ email, password, role }) => ({ email, password, role })),
  workspaces: workspaces.map((workspace) => ({
    id: encodeId('workspace', workspace.id),
    slug: workspace.plan.slug,
    dataRegion: workspace.plan.dataRegion,
    apiKey: workspace.plan.apiKey,
    projects: workspace.projects.map((project) => ({ id: encodeId('project', project.id), slug: project.slug })),
  })),
})

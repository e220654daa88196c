import { requireRecorder } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts, ProjectFacts, WorkspaceFacts } from '../directory/control-facts.js'
import type { Clock } from '../kernel/clock.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import { type Acceptability, OvertakenByErasureError } from './erasure-fence.js'
import { draftEvent, type EventDraft } from './event-draft.js'
import type { Receipt } from './receipt.js'
import type { ValidIngest } from './validate-ingest.js'

/** What the recording operations need. */
export interface IngestDeps {
  readonly facts: IngestFacts
  readonly committers: EventRecorders
  readonly clock: Clock
}

/** The part of `ControlFacts` that recording asks. */
export type IngestFacts = Pick<ControlFacts, 'project' | 'tagKey'>

/** Where accepted events go: a region's committer. */
export interface EventRecorders {
  of(region: Region): EventRecorder
}

/** The part of a region's committer that recording asks. */
export interface EventRecorder {
  readonly known: Acceptability
  record(drafts: readonly EventDraft[], known: Acceptability): Promise<readonly Receipt[]>
}

/** When events were accepted, each of its own, and what was known of the region's erasures before that. */
export interface Acceptance {
  readonly known: Acceptability
  readonly receivedAt: readonly Date[]
}

/** How often one request is accepted anew because of erasures that end just then. */
const ACCEPTANCES_MAX = 5

/**
 * {@link acceptEvents} and the recording of them. Where an erasure ends in between, they are accepted anew: what comes
 * into a chain after an erasure was accepted after it. Throws what these throw.
 */
export async function recordEvents(
  deps: IngestDeps,
  workspace: WorkspaceFacts,
  inputs: readonly ValidIngest[],
  first: Acceptance,
  prefixOf: (index: number) => string,
): Promise<readonly Receipt[]> {
  const recorder = deps.committers.of(workspace.dataRegion)
  let acceptance = first
  for (let attempt = 1; ; attempt++) {
    const { known, receivedAt } = acceptance
    const drafts = await acceptEvents(deps.facts, workspace, inputs, receivedAt, prefixOf)
    try {
      return await recorder.record(drafts, known)
    } catch (error) {
      if (!(error instanceof OvertakenByErasureError) || attempt === ACCEPTANCES_MAX) throw error
      acceptance = { known: recorder.known, receivedAt: inputs.map(() => deps.clock.now()) }
    }
  }
}

/**
 * The workspace that the caller may record into now. `UNAUTHENTICATED`, `FORBIDDEN` (company key, read-only key),
 * `WORKSPACE_ARCHIVED`.
 */
export function recordableWorkspace(viewer: Viewer): WorkspaceFacts {
  const { workspace } = requireRecorder(viewer)
  if (workspace.status === 'ARCHIVED')
    throw new DomainError('WORKSPACE_ARCHIVED', 'This workspace is archived: it takes no more events.')
  return workspace
}

function mayUse(project: ProjectFacts | null, workspace: WorkspaceFacts): boolean {
  return project !== null && project.workspaceId === workspace.id && project.companyId === workspace.companyId
}

/**
 * Fixes valid inputs as events of the workspace, the n-th received at `receivedAt[n]` and standing at `prefixOf(n)` in
 * the request. `NOT_FOUND` for a project that is not the workspace's, whether it exists elsewhere or nowhere;
 * `REGION_UNAVAILABLE` where the control database is needed and doesn't answer.
 */
export async function acceptEvents(
  facts: IngestFacts,
  workspace: WorkspaceFacts,
  inputs: readonly ValidIngest[],
  receivedAt: readonly Date[],
  prefixOf: (index: number) => string,
): Promise<EventDraft[]> {
  const projectIds = new Set(inputs.flatMap((input) => (input.projectId === null ? [] : [input.projectId])))
  const [tagKey, projects] = await Promise.all([
    facts.tagKey(workspace.companyId),
    Promise.all([...projectIds].map((id) => facts.project(id))),
  ])
  if (!projects.every((project) => mayUse(project, workspace))) throw notFound('Project')
  return inputs.map((input, index) =>
    draftEvent(input, placeOf(workspace), tagKey, receivedAt[index]!, prefixOf(index)),
  )
}

const placeOf = (workspace: WorkspaceFacts) => ({
  region: workspace.dataRegion,
  companyId: workspace.companyId,
  workspaceId: workspace.id,
})

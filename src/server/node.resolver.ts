import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import { ArchiveObjectType } from '../archive/archive.graphql.js'
import type { ArchiveApi } from '../archive/archive.resolver.js'
import { findArchiveObject } from '../archive/get-archive-object.js'
import { isPermitted, type Operation } from '../auth/permission-table.js'
import { admitSession, admitSomebody, findReaches, reachesWorkspace } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { AuditEventType } from '../events/audit-event.graphql.js'
import type { EventReads } from '../events/event-reads.js'
import { getEvent } from '../events/get-event.js'
import { type ExportApi, showExport } from '../exports/export.resolver.js'
import { getExport } from '../exports/get-export.js'
import { GdprRequestObjectType } from '../gdpr/gdpr.graphql.js'
import type { GdprDeps } from '../gdpr/gdpr-deps.js'
import { getGdprRequest } from '../gdpr/read-gdpr-requests.js'
import type { GraphqlContext } from '../graphql/context.js'
import { NodeType } from '../graphql/node.graphql.js'
import { badInput } from '../kernel/domain-error.js'
import { parseGlobalId } from '../kernel/ids.js'
import { JobRunType } from '../jobs/job.graphql.js'
import { getJobRun } from '../jobs/list-jobs.js'
import { getAccount } from '../members/get-account.js'
import { ApiKeyType } from '../workspaces/api-key.graphql.js'
import { CompanyType } from '../workspaces/company.graphql.js'
import { getCompany } from '../workspaces/get-company.js'
import { getWorkspace } from '../workspaces/get-workspace.js'
import { ProjectType } from '../workspaces/project.graphql.js'
import { UserType } from '../workspaces/user.graphql.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'

/** Whether there is anything of an operation that only people call for this one to see. */
const mayShow = (viewer: Viewer, operation: Operation): boolean =>
  viewer.kind === 'staff'
    ? isPermitted(operation, viewer.staffRole)
    : viewer.kind === 'user' && viewer.memberships.some(({ role }) => isPermitted(operation, role))

@Resolver()
export class NodeResolver {
  constructor(
    private readonly reads: EventReads,
    private readonly exports: ExportApi,
    private readonly gdpr: Pick<GdprDeps, 'control'>,
    private readonly archive: ArchiveApi,
  ) {}

  @Query(() => NodeType, {
    nullable: true,
    description: "Any object the caller may see; null where it does not exist or is not the caller's.",
  })
  async node(
    @Arg('id', () => ID, { description: 'Its global id.' }) id: string,
    @Ctx() context: GraphqlContext,
  ): Promise<NodeType | null> {
    const { loaders, viewer } = context
    admitSomebody(viewer, 'node')
    const parsed = parseGlobalId(id)
    if (parsed === null) throw badInput('id', 'is not a global id.')
    switch (parsed.kind) {
      case 'event': {
        const event = await getEvent(this.reads, viewer, id)
        return event === null ? null : new AuditEventType(event)
      }
      case 'export': {
        const job = await getExport(this.exports, viewer, id)
        return job === null ? null : showExport(this.exports, job)
      }
      case 'archiveObject': {
        const object = await findArchiveObject(this.archive, viewer, 'archiveObjects', id)
        return object === null ? null : new ArchiveObjectType(object, this.archive.clock.now())
      }
      case 'company': {
        const company = await getCompany(this.reads, viewer, id)
        return company === null ? null : new CompanyType(company)
      }
      case 'workspace': {
        const workspace = await getWorkspace(this.reads, viewer, id)
        return workspace === null ? null : new WorkspaceType(workspace)
      }
      case 'project': {
        const project = await loaders.project.load(parsed.uuid)
        return project !== null && (await this.#reaches(viewer, 'node', project)) ? new ProjectType(project) : null
      }
      case 'apiKey': {
        const found = await loaders.apiKey.load(parsed.uuid)
        return found !== null && (await this.#reaches(viewer, viewer.kind === 'apiKey' ? 'node' : 'apiKeys', found))
          ? new ApiKeyType(found)
          : null
      }
      case 'user': {
        const account = await getAccount(this.reads, viewer, parsed.uuid)
        return account === null ? null : new UserType(account)
      }
      case 'jobRun': {
        const run = await getJobRun(this.reads, viewer, parsed.uuid)
        return run === null ? null : new JobRunType(run)
      }
      case 'gdprRequest': {
        if (!mayShow(viewer, 'gdprRequest')) return null
        const record = await getGdprRequest(this.gdpr, admitSession(viewer, 'gdprRequest'), parsed.uuid)
        return record === null ? null : new GdprRequestObjectType(record)
      }
      case 'legalHold':
      case 'invitation':
      case 'adminEvent':
        // Shown in their lists only.
        return null
    }
  }

  /** Whether the caller may be shown a thing of a workspace, or of a whole company. */
  async #reaches(
    viewer: Viewer,
    operation: Operation,
    thing: { readonly companyId: string; readonly workspaceId: string | null },
  ): Promise<boolean> {
    const reaches = await findReaches(this.reads, viewer, operation, thing.companyId)
    return reaches.some((reach) => reach.companyId === thing.companyId && reachesWorkspace(reach, thing.workspaceId))
  }
}

import 'reflect-metadata'
import { type GraphQLSchema, lexicographicSortSchema, printSchema } from 'graphql'
import { buildSchemaSync } from 'type-graphql'
import { CheckpointResolver } from '../checkpoints/checkpoint.resolver.js'
import type { SignInDeps } from '../auth/sign-in.js'
import type { IngestDeps } from '../events/accept-events.js'
import { AuditEventResolver } from '../events/audit-event.resolver.js'
import type { DisclosureReads } from '../events/disclosures.loader.js'
import { EventListsResolver } from '../events/event-lists.resolver.js'
import type { EventReads } from '../events/event-reads.js'
import { type ExportApi, ExportResolver } from '../exports/export.resolver.js'
import { type FailoverApi, FailoverResolver } from '../failover/failover.resolver.js'
import type { GdprListDeps } from '../gdpr/gdpr-deps.js'
import { GdprResolver } from '../gdpr/gdpr.resolver.js'
import { IngestResolver } from '../events/ingest.resolver.js'
import { JobResolver } from '../jobs/job.resolver.js'
import type { RunJobDeps } from '../jobs/run-job.js'
import { AdminLogResolver } from '../members/admin-log.resolver.js'
import { MemberResolver } from '../members/member.resolver.js'
import { SessionResolver } from '../members/session.resolver.js'
import { AdministrationResolver } from '../workspaces/administration.resolver.js'
import { ApiKeyAdministrationResolver } from '../workspaces/api-key-administration.resolver.js'
import { ApiKeyResolver } from '../workspaces/api-key.resolver.js'
import { CompanyRegionsResolver } from '../workspaces/company-regions.resolver.js'
import { CompanyResolver } from '../workspaces/company.resolver.js'
import type { CompanyRegionsDeps } from '../workspaces/get-company-regions.js'
import type { DashboardDeps } from '../workspaces/dashboard-changes.js'
import { ProjectResolver } from '../workspaces/project.resolver.js'
import { MembershipResolver, UserViewerResolver } from '../workspaces/user-viewer.resolver.js'
import { ViewerResolver } from '../workspaces/viewer.resolver.js'
import { WorkspaceResolver } from '../workspaces/workspace.resolver.js'
import type { VerifyChainDeps } from '../verification/verify-chain.js'
import { VerifyChainResolver } from '../verification/verify-chain.resolver.js'
import { WorkspaceVerdictResolver } from '../verification/workspace-verdict.resolver.js'
import { NodeResolver } from './node.resolver.js'

/** What the resolvers of the whole schema need. */
export interface SchemaDeps {
  readonly reads: EventReads
  readonly disclosures: DisclosureReads
  readonly ingest: IngestDeps
  readonly verification: VerifyChainDeps
  readonly exports: ExportApi
  readonly companyRegions: CompanyRegionsDeps
  readonly jobs: RunJobDeps
  readonly failover: FailoverApi
  readonly gdpr: GdprListDeps
  readonly dashboard: DashboardDeps
  readonly signIn: SignInDeps
}

// Each resolver class once, with what it needs.
const resolvers = [
  [NodeResolver, (deps: SchemaDeps) => new NodeResolver(deps.reads, deps.exports, deps.gdpr)],
  [ViewerResolver, () => new ViewerResolver()],
  [AuditEventResolver, (deps: SchemaDeps) => new AuditEventResolver(deps.reads, deps.disclosures)],
  [EventListsResolver, (deps: SchemaDeps) => new EventListsResolver(deps.reads)],
  [CheckpointResolver, (deps: SchemaDeps) => new CheckpointResolver(deps.reads)],
  [VerifyChainResolver, (deps: SchemaDeps) => new VerifyChainResolver(deps.verification)],
  [WorkspaceVerdictResolver, (deps: SchemaDeps) => new WorkspaceVerdictResolver(deps.reads.control)],
  [ExportResolver, (deps: SchemaDeps) => new ExportResolver(deps.exports)],
  [IngestResolver, (deps: SchemaDeps) => new IngestResolver(deps.ingest, deps.reads)],
  [CompanyResolver, (deps: SchemaDeps) => new CompanyResolver(deps.reads.facts)],
  [WorkspaceResolver, (deps: SchemaDeps) => new WorkspaceResolver(deps.reads.facts)],
  [ProjectResolver, () => new ProjectResolver()],
  [ApiKeyResolver, () => new ApiKeyResolver()],
  [UserViewerResolver, () => new UserViewerResolver()],
  [MembershipResolver, () => new MembershipResolver()],
  [AdministrationResolver, (deps: SchemaDeps) => new AdministrationResolver(deps.dashboard)],
  [ApiKeyAdministrationResolver, (deps: SchemaDeps) => new ApiKeyAdministrationResolver(deps.dashboard)],
  [SessionResolver, (deps: SchemaDeps) => new SessionResolver(deps.signIn)],
  [MemberResolver, (deps: SchemaDeps) => new MemberResolver(deps.dashboard)],
  [AdminLogResolver, (deps: SchemaDeps) => new AdminLogResolver(deps.reads)],
  [CompanyRegionsResolver, (deps: SchemaDeps) => new CompanyRegionsResolver(deps.companyRegions)],
  [FailoverResolver, (deps: SchemaDeps) => new FailoverResolver(deps.failover)],
  [JobResolver, (deps: SchemaDeps) => new JobResolver(deps.jobs)],
  [GdprResolver, (deps: SchemaDeps) => new GdprResolver(deps.gdpr)],
] as const

/** The schema; without `deps` it can be printed and not executed. */
export function buildSchema(deps?: SchemaDeps): GraphQLSchema {
  const instances = new Map<unknown, object>(
    deps === undefined ? [] : resolvers.map(([resolver, make]) => [resolver, make(deps)]),
  )
  return buildSchemaSync({
    resolvers: resolvers.map(([resolver]) => resolver) as unknown as [() => unknown],
    container: { get: (resolver: unknown) => instances.get(resolver) },
    // Inputs are checked by the operations, which name every fault.
    validate: false,
  })
}

/**
 * The schema as text. Sorted, so that the order in which classes are loaded doesn't show, and a change of the text is a
 * change of the API.
 */
export const printedSchema = (): string => `${printSchema(lexicographicSortSchema(buildSchema()))}\n`

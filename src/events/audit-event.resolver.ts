import { Arg, Ctx, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, oncePerRequest, present } from '../graphql/context.js'
import { JsonObjectScalar } from '../graphql/scalars.js'
import type { JsonObject } from '../kernel/canonical-json.js'
import { CompanyType } from '../workspaces/company.graphql.js'
import { ProjectType } from '../workspaces/project.graphql.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'
import { ActorType, AuditEventType, ChangeType, TargetType } from './audit-event.graphql.js'
import { createDisclosureLoader, type DisclosureLoader, type DisclosureReads } from './disclosures.loader.js'
import type { EventReads } from './event-reads.js'
import { getEvent } from './get-event.js'

/** Such a field may hold 64 KiB, which are unsealed for it. */
const sealedJsonComplexity = 10

@Resolver(() => AuditEventType)
export class AuditEventResolver {
  constructor(
    private readonly reads: EventReads,
    private readonly disclosureReads: DisclosureReads,
  ) {}

  @Query(() => AuditEventType, { nullable: true, description: 'One event, from whichever region holds it.' })
  async event(
    @Arg('id', () => ID, { description: 'Its global id, evt_<region>_….' }) id: string,
    @Ctx() context: GraphqlContext,
  ): Promise<AuditEventType | null> {
    const event = await getEvent(this.reads, context.viewer, id)
    return event === null ? null : new AuditEventType(event)
  }

  @FieldResolver(() => CompanyType, { description: 'The company it belongs to.' })
  async company(@Root() { event }: AuditEventType, @Ctx() { loaders }: GraphqlContext): Promise<CompanyType> {
    return new CompanyType(present(await loaders.company.load(event.companyId)))
  }

  @FieldResolver(() => WorkspaceType, { description: 'The workspace in whose chain it stands.' })
  async workspace(@Root() { event }: AuditEventType, @Ctx() { loaders }: GraphqlContext): Promise<WorkspaceType> {
    return new WorkspaceType(present(await loaders.workspace.load(event.workspaceId)))
  }

  @FieldResolver(() => ProjectType, { nullable: true, description: 'The project it was recorded under.' })
  async project(@Root() { event }: AuditEventType, @Ctx() { loaders }: GraphqlContext): Promise<ProjectType | null> {
    return event.projectId === null ? null : new ProjectType(present(await loaders.project.load(event.projectId)))
  }

  @FieldResolver(() => ActorType, {
    nullable: true,
    description: 'Who did it; null where nobody was named or it is erased.',
  })
  actor(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Promise<ActorType | null> {
    return this.#disclosures(context).actor(event)
  }

  @FieldResolver(() => TargetType, { nullable: true, description: 'What it was done to.' })
  async target(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Promise<TargetType | null> {
    const { targetId } = await this.#disclosures(context).content(event)
    return targetId === null && event.targetType === null ? null : { id: targetId, type: event.targetType }
  }

  @FieldResolver(() => JsonObjectScalar, {
    complexity: sealedJsonComplexity,
    description: '{} where there is none or it is erased.',
  })
  async payload(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Promise<JsonObject> {
    return (await this.#disclosures(context).content(event)).payload
  }

  @FieldResolver(() => JsonObjectScalar, {
    complexity: sealedJsonComplexity,
    nullable: true,
    description: 'What the caller noted about how the event came to be; null where there is none or it is erased.',
  })
  async metadata(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Promise<JsonObject | null> {
    return (await this.#disclosures(context).content(event)).metadata
  }

  @FieldResolver(() => [ChangeType], {
    complexity: sealedJsonComplexity,
    nullable: true,
    description: 'What it changed. Erased changes are left out.',
  })
  async changes(
    @Root() { event }: AuditEventType,
    @Ctx() context: GraphqlContext,
  ): Promise<readonly ChangeType[] | null> {
    const { changes } = await this.#disclosures(context).content(event)
    return changes === null
      ? null
      : changes.map((change) => ({ field: change.field, old: change.old, new: change.new }))
  }

  @FieldResolver(() => String, { nullable: true, description: 'The trace it belongs to.' })
  async traceId(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Promise<string | null> {
    return (await this.#disclosures(context).content(event)).traceId
  }

  #disclosures(context: GraphqlContext): DisclosureLoader {
    return oncePerRequest(context, createDisclosureLoader, () => createDisclosureLoader(this.disclosureReads))
  }
}

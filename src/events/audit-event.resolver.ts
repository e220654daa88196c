import { Arg, Ctx, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql'
import type { DirectoryLoader } from '../directory/directory-loaders.js'
import { type GraphqlContext, oncePerRequest, present } from '../graphql/context.js'
import { JsonObjectScalar } from '../graphql/scalars.js'
import type { JsonObject } from '../kernel/canonical-json.js'
import { CompanyType } from '../workspaces/company.graphql.js'
import { ProjectType } from '../workspaces/project.graphql.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'
import type { AuditEvent } from './audit-event.js'
import { ActorType, AuditEventType, ChangeType, TargetType } from './audit-event.graphql.js'
import {
  createDisclosureLoader,
  type DisclosedContent,
  type DisclosureLoader,
  type DisclosureReads,
  type Ready,
} from './disclosures.loader.js'
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

  @Query(() => AuditEventType, {
    nullable: true,
    description:
      'One event, from whichever region holds it; null where there is none, or it is not for the caller to see. REGION_UNAVAILABLE while it waits in the queue, RESTORE_REQUIRED where it is in a cold archive object.',
  })
  async event(
    @Arg('id', () => ID, { description: 'Its global id, evt_<region>_….' }) id: string,
    @Ctx() context: GraphqlContext,
  ): Promise<AuditEventType | null> {
    const event = await getEvent(this.reads, context.viewer, id)
    return event === null ? null : new AuditEventType(event)
  }

  @FieldResolver(() => CompanyType, { description: 'The company it belongs to.' })
  company(@Root() { event }: AuditEventType, @Ctx() { loaders }: GraphqlContext): Ready<CompanyType> {
    return shownAs(loaders.company, event.companyId, (company) => new CompanyType(company))
  }

  @FieldResolver(() => WorkspaceType, { description: 'The workspace in whose chain it stands.' })
  workspace(@Root() { event }: AuditEventType, @Ctx() { loaders }: GraphqlContext): Ready<WorkspaceType> {
    return shownAs(loaders.workspace, event.workspaceId, (workspace) => new WorkspaceType(workspace))
  }

  @FieldResolver(() => ProjectType, { nullable: true, description: 'The project it was recorded under.' })
  project(@Root() { event }: AuditEventType, @Ctx() { loaders }: GraphqlContext): Ready<ProjectType | null> {
    if (event.projectId === null) return null
    return shownAs(loaders.project, event.projectId, (project) => new ProjectType(project))
  }

  @FieldResolver(() => ActorType, {
    nullable: true,
    description: 'Who did it; null where nobody was named or it is erased.',
  })
  actor(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Ready<ActorType | null> {
    return this.#disclosures(context).actor(event)
  }

  @FieldResolver(() => TargetType, { nullable: true, description: 'What it was done to.' })
  target(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Ready<TargetType | null> {
    return this.#ofContent(context, event, ({ targetId }) =>
      targetId === null && event.targetType === null ? null : { id: targetId, type: event.targetType },
    )
  }

  @FieldResolver(() => JsonObjectScalar, {
    complexity: sealedJsonComplexity,
    description: '{} where there is none or it is erased.',
  })
  payload(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Ready<JsonObject> {
    return this.#ofContent(context, event, ({ payload }) => payload)
  }

  @FieldResolver(() => JsonObjectScalar, {
    complexity: sealedJsonComplexity,
    nullable: true,
    description: 'What the caller noted about how the event came to be; null where there is none or it is erased.',
  })
  metadata(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Ready<JsonObject | null> {
    return this.#ofContent(context, event, ({ metadata }) => metadata)
  }

  @FieldResolver(() => [ChangeType], {
    complexity: sealedJsonComplexity,
    nullable: true,
    description: 'What it changed. Erased changes are left out.',
  })
  changes(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Ready<readonly ChangeType[] | null> {
    return this.#ofContent(context, event, ({ changes }) =>
      changes === null ? null : changes.map((change) => ({ field: change.field, old: change.old, new: change.new })),
    )
  }

  @FieldResolver(() => String, { nullable: true, description: 'The trace it belongs to.' })
  traceId(@Root() { event }: AuditEventType, @Ctx() context: GraphqlContext): Ready<string | null> {
    return this.#ofContent(context, event, ({ traceId }) => traceId)
  }

  #ofContent<T>(context: GraphqlContext, event: AuditEvent, pick: (content: DisclosedContent) => T): Ready<T> {
    const content = this.#disclosures(context).content(event)
    return content instanceof Promise ? content.then(pick) : pick(content)
  }

  #disclosures(context: GraphqlContext): DisclosureLoader {
    return oncePerRequest(context, createDisclosureLoader, () => createDisclosureLoader(this.disclosureReads))
  }
}

/** Something of the directory that an event refers to: at once where memory answers for it. */
function shownAs<V extends object, T>(loader: DirectoryLoader<V>, id: string, show: (value: V) => T): Ready<T> {
  const known = loader.peek(id)
  return known === undefined ? loader.load(id).then((value) => show(present(value))) : show(known)
}

import type { KeyObject } from 'node:crypto'
import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql'
import { type GraphqlContext, present } from '../graphql/context.js'
import { WorkspaceType } from '../workspaces/workspace.graphql.js'
import { downloadLink } from './download-link.js'
import type { ExportJob } from './export-job.js'
import { ExportPayloadType, ExportType, RequestExportInputType } from './export.graphql.js'
import { getExport } from './get-export.js'
import { type ExportReads, requestExport } from './request-export.js'

/** What the API's side of exports takes. */
export interface ExportApi extends ExportReads {
  /** Signs download links. */
  readonly linkKey: KeyObject
}

/** An export as the API shows it now. */
export function showExport({ clock, linkKey }: ExportApi, job: ExportJob): ExportType {
  const now = clock.now()
  return new ExportType(job, now, downloadLink(linkKey, job, now))
}

@Resolver(() => ExportType)
export class ExportResolver {
  constructor(private readonly api: ExportApi) {}

  @Query(() => ExportType, {
    nullable: true,
    description: "An export and how far it is; null where there is none, or it is not of the caller's workspaces.",
  })
  async export(
    @Arg('id', () => ID, { description: 'Its global id, exp_<region>_….' }) id: string,
    @Ctx() context: GraphqlContext,
  ): Promise<ExportType | null> {
    const job = await getExport(this.api, context.viewer, id)
    return job === null ? null : showExport(this.api, job)
  }

  @Mutation(() => ExportPayloadType, {
    description:
      'Asks for the events of a workspace in a file. It is written in the background, as of now; ask export for its progress and its download.',
  })
  async requestExport(
    @Arg('input', () => RequestExportInputType, { description: 'What to export.' }) input: RequestExportInputType,
    @Ctx() context: GraphqlContext,
  ): Promise<ExportPayloadType> {
    const { workspaceId, from = null, to = null, format, scope } = input
    const job = await requestExport(this.api, context.viewer, { workspaceId, from, to, format, scope: scope ?? 'HOT' })
    return { export: showExport(this.api, job) }
  }

  @FieldResolver(() => WorkspaceType, { description: 'The workspace it was made of.' })
  async workspace(@Root() { job }: ExportType, @Ctx() { loaders }: GraphqlContext): Promise<WorkspaceType> {
    return new WorkspaceType(present(await loaders.workspace.load(job.workspaceId)))
  }
}

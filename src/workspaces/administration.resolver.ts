import { Arg, Ctx, Mutation, Resolver } from 'type-graphql'
import type { GraphqlContext } from '../graphql/context.js'
import { decodeId } from '../kernel/ids.js'
import {
  ArchiveWorkspaceInputType,
  CreateCompanyInputType,
  CreateCompanyPayloadType,
  CreateProjectInputType,
  CreateProjectPayloadType,
  CreateWorkspaceInputType,
  CreateWorkspacePayloadType,
  UpdateWorkspaceInputType,
  WorkspacePayloadType,
} from './administration.graphql.js'
import { CompanyType } from './company.graphql.js'
import { createCompanyAs, createProjectAs, createWorkspaceAs, type DashboardDeps } from './dashboard-changes.js'
import { ProjectType } from './project.graphql.js'
import { archiveWorkspace, unarchiveWorkspace, updateWorkspace } from './update-workspace.js'
import { WorkspaceType } from './workspace.graphql.js'

@Resolver()
export class AdministrationResolver {
  constructor(private readonly deps: DashboardDeps) {}

  @Mutation(() => CreateCompanyPayloadType, { description: 'Makes a company. Staff (SUPER_ADMIN) only.' })
  async createCompany(
    @Arg('input', () => CreateCompanyInputType, { description: 'The company.' }) input: CreateCompanyInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<CreateCompanyPayloadType> {
    return { company: new CompanyType(await createCompanyAs(this.deps, viewer, input)) }
  }

  @Mutation(() => CreateWorkspacePayloadType, { description: 'Makes a workspace. OWNER or ADMIN.' })
  async createWorkspace(
    @Arg('input', () => CreateWorkspaceInputType, { description: 'The workspace.' }) input: CreateWorkspaceInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<CreateWorkspacePayloadType> {
    const companyId = decodeId('company', input.companyId, 'input.companyId')
    return { workspace: new WorkspaceType(await createWorkspaceAs(this.deps, viewer, { ...input, companyId })) }
  }

  @Mutation(() => WorkspacePayloadType, {
    description: 'Changes name, slug or retention of a workspace. OWNER or ADMIN.',
  })
  async updateWorkspace(
    @Arg('input', () => UpdateWorkspaceInputType, { description: 'The changes.' }) input: UpdateWorkspaceInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<WorkspacePayloadType> {
    const workspaceId = decodeId('workspace', input.workspaceId, 'input.workspaceId')
    return { workspace: new WorkspaceType(await updateWorkspace(this.deps, viewer, { ...input, workspaceId })) }
  }

  @Mutation(() => WorkspacePayloadType, {
    description:
      'Closes a workspace: nothing is recorded in it any more, and its events stay and can be read. OWNER or ADMIN.',
  })
  async archiveWorkspace(
    @Arg('input', () => ArchiveWorkspaceInputType, { description: 'The workspace.' }) input: ArchiveWorkspaceInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<WorkspacePayloadType> {
    const workspaceId = decodeId('workspace', input.workspaceId, 'input.workspaceId')
    return { workspace: new WorkspaceType(await archiveWorkspace(this.deps, viewer, workspaceId)) }
  }

  @Mutation(() => WorkspacePayloadType, { description: 'Opens an archived workspace again. OWNER or ADMIN.' })
  async unarchiveWorkspace(
    @Arg('input', () => ArchiveWorkspaceInputType, { description: 'The workspace.' }) input: ArchiveWorkspaceInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<WorkspacePayloadType> {
    const workspaceId = decodeId('workspace', input.workspaceId, 'input.workspaceId')
    return { workspace: new WorkspaceType(await unarchiveWorkspace(this.deps, viewer, workspaceId)) }
  }

  @Mutation(() => CreateProjectPayloadType, {
    description: 'Makes a project. OWNER, ADMIN, or a MEMBER of the workspace.',
  })
  async createProject(
    @Arg('input', () => CreateProjectInputType, { description: 'The project.' }) input: CreateProjectInputType,
    @Ctx() { viewer }: GraphqlContext,
  ): Promise<CreateProjectPayloadType> {
    const workspaceId = decodeId('workspace', input.workspaceId, 'input.workspaceId')
    return { project: new ProjectType(await createProjectAs(this.deps, viewer, { ...input, workspaceId })) }
  }
}

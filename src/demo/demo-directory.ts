import type { KeyObject } from 'node:crypto'
import { apiKeyHmac } from '../auth/api-key.js'
import { hashPassword } from '../auth/password.js'
import type { Database } from '../db/database.js'
import { findApiKeyByHmac } from '../directory/api-key.store.js'
import {
  findUserByEmail,
  insertUser,
  putMember,
  putWorkspaceMember,
  setPasswordHash,
} from '../directory/app-user.store.js'
import type { StaffRole } from '../directory/app-user.entity.js'
import { findCompanyBySlug } from '../directory/company.store.js'
import { findProjectBySlug } from '../directory/project.store.js'
import { withControl } from '../directory/with-control.js'
import { findWorkspaceBySlug } from '../directory/workspace.store.js'
import type { Clock } from '../kernel/clock.js'
import { newUuid } from '../kernel/ids.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { createApiKey, type CreateApiKeyInput } from '../workspaces/create-api-key.js'
import { createCompany } from '../workspaces/create-company.js'
import { createProject } from '../workspaces/create-project.js'
import { createWorkspace } from '../workspaces/create-workspace.js'
import { allSettled } from './all-settled.js'
import type { DemoPlan, PlannedCompany, PlannedUser, PlannedWorkspace } from './demo-plan.js'

export interface DemoDirectoryDeps {
  readonly control: Database
  readonly secrets: ControlSecrets
  readonly pepper: KeyObject
  /** When the things of the demo are said to have been made: before their first event. */
  readonly clock: Clock
}

/** What was made, or found from an earlier attempt. Ids are UUIDs. */
export interface MadeCompany {
  readonly id: string
  readonly plan: PlannedCompany
  readonly workspaces: readonly MadeWorkspace[]
}

export interface MadeWorkspace {
  readonly id: string
  readonly plan: PlannedWorkspace
  readonly projects: readonly { readonly id: string; readonly slug: string }[]
}

/** Makes what the plan says and is not there yet: companies, workspaces and projects are known by their slugs. */
export async function makeDemoDirectory(deps: DemoDirectoryDeps, plan: DemoPlan): Promise<readonly MadeCompany[]> {
  const made = await allSettled(plan.companies.map((company) => makeCompany(deps, company)))
  await allSettled(plan.staff.map((user) => makeUser(deps, user, user.staffRole)))
  return made
}

async function makeCompany(deps: DemoDirectoryDeps, plan: PlannedCompany): Promise<MadeCompany> {
  const { id } =
    (await withControl(deps.control, (em) => findCompanyBySlug(em, plan.slug))) ?? (await createCompany(deps, plan))
  await makeKey(deps, plan.apiKey, { companyId: id, scope: 'COMPANY', name: 'Demo' })
  await makeKey(deps, plan.readOnlyApiKey, { companyId: id, scope: 'COMPANY', name: 'Demo, read-only', readOnly: true })
  const workspaces: MadeWorkspace[] = []
  for (const workspace of plan.workspaces) workspaces.push(await makeWorkspace(deps, id, workspace))
  await allSettled(plan.users.map((user) => makeMember(deps, id, user, workspaces[0]?.id)))
  return { id, plan, workspaces }
}

/** A MEMBER or VIEWER sees the first workspace, and so shows what it is not to see the others. */
async function makeMember(
  deps: DemoDirectoryDeps,
  companyId: string,
  user: PlannedCompany['users'][number],
  workspaceId: string | undefined,
): Promise<void> {
  const userId = await makeUser(deps, user, null)
  const createdAt = deps.clock.now()
  await withControl(deps.control, async (em) => {
    await putMember(em, { companyId, userId, role: user.role, createdAt })
    if (workspaceId !== undefined && (user.role === 'MEMBER' || user.role === 'VIEWER'))
      await putWorkspaceMember(em, { companyId, workspaceId, userId, createdAt })
  })
}

async function makeWorkspace(
  deps: DemoDirectoryDeps,
  companyId: string,
  plan: PlannedWorkspace,
): Promise<MadeWorkspace> {
  const { name, slug, dataRegion } = plan
  const { id } =
    (await withControl(deps.control, (em) => findWorkspaceBySlug(em, companyId, slug))) ??
    (await createWorkspace(deps, { companyId, name, slug, dataRegion }))
  await makeKey(deps, plan.apiKey, { companyId, workspaceId: id, scope: 'WORKSPACE', name: 'Demo' })
  const projects: { id: string; slug: string }[] = []
  for (const project of plan.projects) {
    const found =
      (await withControl(deps.control, (em) => findProjectBySlug(em, id, project.slug))) ??
      (await createProject(deps, { workspaceId: id, ...project }))
    projects.push({ id: found.id, slug: found.slug })
  }
  return { id, plan, projects }
}

async function makeKey(deps: DemoDirectoryDeps, secret: string, input: CreateApiKeyInput): Promise<void> {
  const found = await withControl(deps.control, (em) => findApiKeyByHmac(em, apiKeyHmac(deps.pepper, secret)))
  if (found === null) await createApiKey(deps, input, secret)
}

/** The user's id. One that is there already gets the planned password: it is the one that will be printed. */
async function makeUser(
  deps: DemoDirectoryDeps,
  { email, name, password }: PlannedUser<object>,
  staffRole: StaffRole | null,
): Promise<string> {
  const passwordHash = await hashPassword(password)
  return withControl(deps.control, async (em) => {
    const found = await findUserByEmail(em, email)
    if (found !== null) {
      await setPasswordHash(em, found.id, passwordHash)
      return found.id
    }
    const id = newUuid()
    await insertUser(em, { id, email, name, passwordHash, staffRole, createdAt: deps.clock.now() })
    return id
  })
}

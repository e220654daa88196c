import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { ApiKeyFacts, CompanyFacts, ErasureFloor, ProjectFacts, WorkspaceFacts } from './facts.js'

/** A control database that takes longer counts as dead. */
const TIMEOUT_MS = 1_000

/** A company and its sealed tag key, which every fact of a company brings along. */
export interface CompanyWithTagKey {
  readonly company: CompanyFacts
  readonly tagKeySealed: Buffer
  readonly seenTo: SeenTo
}

/** Every transaction of the control database before this one was over when a fact was read. */
type SeenTo = string

interface CompanyColumns extends SeenColumn {
  readonly company_id: string
  readonly company_name: string
  readonly company_slug: string
  readonly company_data_region: Region
  readonly company_replicate_to: Region[]
  readonly company_retention_days: number
  readonly company_created_at: Date
  readonly tag_key_sealed: Buffer
}
interface SeenColumn {
  readonly seen_to: SeenTo
}
interface WorkspaceColumns {
  readonly workspace_id: string
  readonly workspace_name: string
  readonly workspace_slug: string
  readonly workspace_data_region: Region
  readonly workspace_retention_days: number
  readonly workspace_status: 'ACTIVE' | 'ARCHIVED'
  readonly workspace_created_at: Date
}
interface ProjectColumns extends SeenColumn {
  readonly id: string
  readonly company_id: string
  readonly workspace_id: string
  readonly name: string
  readonly slug: string
  readonly created_at: Date
}
interface ApiKeyColumns {
  readonly id: string
  readonly key_workspace_id: string | null
  readonly name: string
  readonly prefix: string
  readonly secret_hmac: Buffer
  readonly scope: 'COMPANY' | 'WORKSPACE'
  readonly read_only: boolean
  readonly ip_allowlist: string[]
  readonly expires_at: Date | null
  readonly revoked_at: Date | null
  readonly last_used_at: Date | null
  readonly created_at: Date
}

const seenColumn = 'pg_snapshot_xmin(pg_current_snapshot())::text as seen_to'
const companyColumns = `${seenColumn}, c.id as company_id, c.name as company_name, c.slug as company_slug,
  c.data_region as company_data_region, c.replicate_to as company_replicate_to,
  c.retention_days as company_retention_days, c.created_at as company_created_at, c.tag_key_sealed`
const workspaceColumns = `w.id as workspace_id, w.name as workspace_name, w.slug as workspace_slug,
  w.data_region as workspace_data_region, coalesce(w.retention_days, c.retention_days) as workspace_retention_days,
  w.status as workspace_status, w.created_at as workspace_created_at`

const companyFacts = (row: CompanyColumns): CompanyWithTagKey => ({
  company: {
    id: row.company_id,
    name: row.company_name,
    slug: row.company_slug,
    dataRegion: row.company_data_region,
    replicateTo: row.company_replicate_to,
    retentionDays: row.company_retention_days,
    createdAt: row.company_created_at,
  },
  tagKeySealed: row.tag_key_sealed,
  seenTo: row.seen_to,
})
const workspaceFacts = (row: CompanyColumns & WorkspaceColumns): WorkspaceFacts => ({
  id: row.workspace_id,
  companyId: row.company_id,
  name: row.workspace_name,
  slug: row.workspace_slug,
  dataRegion: row.workspace_data_region,
  retentionDays: row.workspace_retention_days,
  status: row.workspace_status,
  createdAt: row.workspace_created_at,
})

async function first<Row extends object>(
  control: Database,
  name: string,
  sql: string,
  value: unknown,
): Promise<Row | null> {
  const rows = await control.query<Row>(sql, [value], { name, timeoutMs: TIMEOUT_MS })
  return rows[0] ?? null
}

/** The key of this HMAC with its company and workspace, or null. */
export async function findApiKeyFacts(
  control: Database,
  secretHmac: Buffer,
): Promise<{ key: ApiKeyFacts; owner: CompanyWithTagKey } | null> {
  const row = await first<ApiKeyColumns & CompanyColumns & WorkspaceColumns>(
    control,
    'fact_api_key',
    `select k.id, k.workspace_id as key_workspace_id, k.name, k.prefix, k.secret_hmac, k.scope, k.read_only,
       k.ip_allowlist::text[] as ip_allowlist, k.expires_at, k.revoked_at, k.last_used_at, k.created_at,
       ${companyColumns}, ${workspaceColumns}
     from api_key k join company c on c.id = k.company_id left join workspace w on w.id = k.workspace_id
     where k.secret_hmac = $1`,
    secretHmac,
  )
  if (row === null) return null
  const owner = companyFacts(row)
  return {
    owner,
    key: {
      id: row.id,
      companyId: row.company_id,
      workspaceId: row.key_workspace_id,
      name: row.name,
      prefix: row.prefix,
      secretHmac: row.secret_hmac,
      scope: row.scope,
      readOnly: row.read_only,
      ipAllowlist: row.ip_allowlist,
      expiresAt: row.expires_at,
      revokedAt: row.revoked_at,
      lastUsedAt: row.last_used_at,
      createdAt: row.created_at,
      company: owner.company,
      workspace: row.key_workspace_id === null ? null : workspaceFacts(row),
    },
  }
}

export async function findCompanyFacts(control: Database, id: string): Promise<CompanyWithTagKey | null> {
  const row = await first<CompanyColumns>(
    control,
    'fact_company',
    `select ${companyColumns} from company c where c.id = $1`,
    id,
  )
  return row && companyFacts(row)
}

export async function findWorkspaceFacts(
  control: Database,
  id: string,
): Promise<{ workspace: WorkspaceFacts; owner: CompanyWithTagKey } | null> {
  const row = await first<CompanyColumns & WorkspaceColumns>(
    control,
    'fact_workspace',
    `select ${companyColumns}, ${workspaceColumns} from workspace w join company c on c.id = w.company_id where w.id = $1`,
    id,
  )
  return row && { workspace: workspaceFacts(row), owner: companyFacts(row) }
}

/** A company's workspaces in the order in which they were made. */
export async function listWorkspaceFacts(
  control: Database,
  companyId: string,
): Promise<{ workspaces: readonly WorkspaceFacts[]; seenTo: SeenTo | null }> {
  const rows = await control.query<CompanyColumns & WorkspaceColumns>(
    `select ${companyColumns}, ${workspaceColumns} from workspace w join company c on c.id = w.company_id
     where w.company_id = $1 order by w.created_at, w.id`,
    [companyId],
    { name: 'fact_workspaces', timeoutMs: TIMEOUT_MS },
  )
  return { workspaces: rows.map(workspaceFacts), seenTo: rows[0]?.seen_to ?? null }
}

/** The newest erasure of each chain of a company that has had any. */
export async function listErasureFloors(control: Database, companyId: string): Promise<readonly ErasureFloor[]> {
  const rows = await control.query<{ workspace_id: string; sequence: string }>(
    'select workspace_id, sequence from erasure_floor where company_id = $1',
    [companyId],
    { name: 'fact_erasure_floors', timeoutMs: TIMEOUT_MS },
  )
  return rows.map((row) => ({ workspaceId: row.workspace_id, sequence: Number(row.sequence) }))
}

export async function findProjectFacts(
  control: Database,
  id: string,
): Promise<{ project: ProjectFacts; seenTo: SeenTo } | null> {
  const row = await first<ProjectColumns>(
    control,
    'fact_project',
    `select ${seenColumn}, id, company_id, workspace_id, name, slug, created_at from project where id = $1`,
    id,
  )
  if (row === null) return null
  const { company_id: companyId, workspace_id: workspaceId, created_at: createdAt } = row
  return {
    project: { id: row.id, companyId, workspaceId, name: row.name, slug: row.slug, createdAt },
    seenTo: row.seen_to,
  }
}

/** How far the control database has come: whatever is committed now is before this transaction. */
export async function readControlPosition(control: Database): Promise<bigint> {
  const [row] = await control.query<{ position: string }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::text as position',
    [],
    { name: 'control_position', timeoutMs: TIMEOUT_MS },
  )
  return BigInt(row!.position)
}

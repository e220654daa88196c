import type { Database, Transaction } from '../db/database.js'
import type { KeysetPosition } from '../kernel/cursor.js'
import type { Region } from '../kernel/region.js'
import type {
  ErasureEvidence,
  GdprApproval,
  GdprApprovalType,
  GdprRequest,
  GdprRequestType,
  GdprStatus,
} from './gdpr-request.js'

const TIMEOUT_MS = 5_000

/** An account as a request shows it. */
export interface GdprPerson {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly createdAt: Date
}

/** A request with everything that is shown with it. */
export interface GdprRequestRecord {
  readonly request: GdprRequest
  readonly requester: GdprPerson
  readonly approvals: readonly { readonly approval: GdprApproval; readonly approver: GdprPerson }[]
  readonly evidence: readonly ErasureEvidence[]
}

interface RequestRow {
  readonly id: string
  readonly company_id: string
  readonly request_type: GdprRequestType
  readonly status: GdprStatus
  readonly requested_by: string
  readonly four_eyes: boolean
  readonly subject: string
  readonly matched_events: string
  readonly erased_events: string
  readonly failure: string | null
  readonly created_at: Date
  readonly completed_at: Date | null
}

interface PersonRow {
  readonly email: string
  readonly name: string | null
  readonly user_created_at: Date
}

const columns = `r.id, r.company_id, r.request_type, r.status, r.requested_by, r.four_eyes, r.subject, r.matched_events,
  r.erased_events, r.failure, r.created_at, r.completed_at`
const personColumns = 'u.email, u.name, u.created_at as user_created_at'

const toRequest = (row: RequestRow): GdprRequest => ({
  id: row.id,
  companyId: row.company_id,
  requestType: row.request_type,
  status: row.status,
  requestedBy: row.requested_by,
  fourEyes: row.four_eyes,
  subject: row.subject,
  matchedEvents: Number(row.matched_events),
  erasedEvents: Number(row.erased_events),
  failure: row.failure,
  createdAt: row.created_at,
  completedAt: row.completed_at,
})
const toPerson = (id: string, { email, name, user_created_at: createdAt }: PersonRow): GdprPerson => ({
  id,
  email,
  name,
  createdAt,
})

export interface GdprPageRequest {
  /** Null: of all companies. */
  readonly companyIds: readonly string[] | null
  readonly status: GdprStatus | null
  /** `older`: from the newest, or from `position`, towards older ones. */
  readonly direction: 'older' | 'newer'
  readonly position: KeysetPosition | null
  readonly limit: number
}

/** Requests in the order of the direction asked for. Throws DatabaseError. */
export async function readGdprRequests(control: Database, page: GdprPageRequest): Promise<GdprRequestRecord[]> {
  const { companyIds, status, direction, position, limit } = page
  const values: unknown[] = [companyIds, status, limit]
  let after = ''
  if (position !== null) {
    values.push(new Date(position.timeMs), position.uuid)
    after = ` and (r.created_at, r.id) ${direction === 'older' ? '<' : '>'} ($4::timestamptz, $5::uuid)`
  }
  const order = direction === 'older' ? 'r.created_at desc, r.id desc' : 'r.created_at, r.id'
  const rows = await control.query<RequestRow & PersonRow>(
    `select ${columns}, ${personColumns} from gdpr_request r join app_user u on u.id = r.requested_by
     where ($1::uuid[] is null or r.company_id = any ($1)) and ($2::text is null or r.status = $2)${after}
     order by ${order} limit $3`,
    values,
    { timeoutMs: TIMEOUT_MS },
  )
  return withDetails(control, rows)
}

/** How many requests there are. Throws DatabaseError. */
export async function countGdprRequests(
  control: Database,
  { companyIds, status }: Pick<GdprPageRequest, 'companyIds' | 'status'>,
): Promise<number> {
  const [row] = await control.query<{ n: string }>(
    `select count(*) as n from gdpr_request r
     where ($1::uuid[] is null or r.company_id = any ($1)) and ($2::text is null or r.status = $2)`,
    [companyIds, status],
    { timeoutMs: TIMEOUT_MS },
  )
  return Number(row!.n)
}

/** One request, or null. Throws DatabaseError. */
export async function findGdprRequest(control: Database, id: string): Promise<GdprRequestRecord | null> {
  const rows = await control.query<RequestRow & PersonRow>(
    `select ${columns}, ${personColumns} from gdpr_request r join app_user u on u.id = r.requested_by where r.id = $1`,
    [id],
    { timeoutMs: TIMEOUT_MS },
  )
  return (await withDetails(control, rows))[0] ?? null
}

async function withDetails(control: Database, rows: readonly (RequestRow & PersonRow)[]): Promise<GdprRequestRecord[]> {
  if (rows.length === 0) return []
  const ids = rows.map(({ id }) => id)
  const [approvals, evidence] = await Promise.all([readApprovals(control, ids), readEvidence(control, ids)])
  return rows.map((row) => ({
    request: toRequest(row),
    requester: toPerson(row.requested_by, row),
    approvals: approvals.get(row.id) ?? [],
    evidence: evidence.get(row.id) ?? [],
  }))
}

async function readApprovals(
  control: Database,
  ids: readonly string[],
): Promise<Map<string, GdprRequestRecord['approvals']>> {
  const rows = await control.query<
    PersonRow & { request_id: string; approval_type: GdprApprovalType; approved_by: string; created_at: Date }
  >(
    `select a.request_id, a.approval_type, a.approved_by, a.created_at, ${personColumns}
     from gdpr_approval a join app_user u on u.id = a.approved_by
     where a.request_id = any ($1::uuid[]) order by a.created_at, a.approval_type desc`,
    [ids],
    { timeoutMs: TIMEOUT_MS },
  )
  const entries = rows.map((row) => ({
    id: row.request_id,
    approval: { approvalType: row.approval_type, approvedBy: row.approved_by, createdAt: row.created_at },
    approver: toPerson(row.approved_by, row),
  }))
  return Map.groupBy(entries, ({ id }) => id)
}

async function readEvidence(
  control: Database,
  ids: readonly string[],
): Promise<Map<string, readonly ErasureEvidence[]>> {
  const rows = await control.query<{
    request_id: string
    region: Region
    store: string
    records: string
    completed_at: Date
  }>(
    `select request_id, region, store, records, completed_at from gdpr_evidence
     where request_id = any ($1::uuid[]) order by region, store`,
    [ids],
    { timeoutMs: TIMEOUT_MS },
  )
  const entries = rows.map((row) => ({
    id: row.request_id,
    region: row.region,
    store: row.store,
    records: Number(row.records),
    completedAt: row.completed_at,
  }))
  return Map.groupBy(entries, ({ id }) => id)
}

/** What deciding on a request takes: its row, locked. */
export interface LockedGdprRequest {
  readonly id: string
  readonly companyId: string
  readonly status: GdprStatus
  readonly requestedBy: string
  readonly fourEyes: boolean
  readonly subjectTag: Buffer | null
  readonly approvals: readonly { readonly approvedBy: string }[]
}

/** Locks a request until the transaction ends, so that of two decisions one comes first. Null where it isn't there. */
export async function lockGdprRequest(tx: Transaction, id: string): Promise<LockedGdprRequest | null> {
  const [row] = await tx.query<RequestRow & { subject_tag: Buffer | null }>(
    'select id, company_id, status, requested_by, four_eyes, subject_tag from gdpr_request where id = $1 for update',
    [id],
  )
  if (row === undefined) return null
  const approvals = await tx.query<{ approved_by: string }>(
    'select approved_by from gdpr_approval where request_id = $1',
    [id],
  )
  return {
    id: row.id,
    companyId: row.company_id,
    status: row.status,
    requestedBy: row.requested_by,
    fourEyes: row.four_eyes,
    subjectTag: row.subject_tag,
    approvals: approvals.map((one) => ({ approvedBy: one.approved_by })),
  }
}

/** Moves a request on. False where it is no longer in the status it was seen in. */
export async function moveGdprRequest(
  tx: Transaction,
  move: { readonly id: string; readonly from: GdprStatus; readonly to: GdprStatus; readonly failure?: string | null },
): Promise<boolean> {
  const rows = await tx.query(
    'update gdpr_request set status = $3, failure = $4 where id = $1 and status = $2 returning id',
    [move.id, move.from, move.to, move.failure ?? null],
  )
  return rows.length === 1
}

export async function insertApproval(
  tx: Transaction,
  request: Pick<LockedGdprRequest, 'id' | 'requestedBy' | 'fourEyes'>,
  approval: GdprApproval,
): Promise<void> {
  await tx.query(
    `insert into gdpr_approval (request_id, approval_type, approved_by, requested_by, four_eyes, created_at)
     values ($1, $2, $3, $4, $5, $6)`,
    [request.id, approval.approvalType, approval.approvedBy, request.requestedBy, request.fourEyes, approval.createdAt],
  )
}

export interface NewGdprRequest {
  readonly id: string
  readonly companyId: string
  readonly requestType: GdprRequestType
  readonly requestedBy: string
  readonly fourEyes: boolean
  readonly identifiersSealed: Buffer
  readonly keyRegion: Region
  readonly keyId: string
  readonly subject: string
  readonly subjectDigest: string
  readonly subjectTag: Buffer
  readonly secretSealed: Buffer
  readonly createdAt: Date
}

/** False where the subject has an open request already. */
export async function insertGdprRequest(tx: Transaction, request: NewGdprRequest): Promise<boolean> {
  const rows = await tx.query(
    `insert into gdpr_request (id, company_id, request_type, status, requested_by, four_eyes, identifiers_sealed, key_region,
       key_id, subject, subject_tag, secret_sealed, created_at, subject_digest)
     values ($1, $2, $3, 'CUSTOMER_PENDING', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     on conflict (company_id, subject_tag) where subject_tag is not null do nothing returning id`,
    [
      request.id,
      request.companyId,
      request.requestType,
      request.requestedBy,
      request.fourEyes,
      request.identifiersSealed,
      request.keyRegion,
      request.keyId,
      request.subject,
      request.subjectTag,
      request.secretSealed,
      request.createdAt,
      request.subjectDigest,
    ],
  )
  return rows.length === 1
}

/** Whether a company's requests want somebody else's approval. */
export async function readFourEyes(tx: Transaction, companyId: string): Promise<boolean> {
  const [row] = await tx.query<{ four_eyes: boolean }>('select four_eyes from company where id = $1', [companyId])
  return row?.four_eyes ?? true
}

/** False where it was so before. */
export async function storeFourEyes(tx: Transaction, companyId: string, required: boolean): Promise<boolean> {
  const rows = await tx.query('update company set four_eyes = $2 where id = $1 and four_eyes <> $2 returning id', [
    companyId,
    required,
  ])
  return rows.length > 0
}

/** The open request of a subject, or null. */
export async function findOpenRequest(
  control: Database,
  companyId: string,
  subjectTag: Buffer,
): Promise<GdprRequestRecord | null> {
  const [row] = await control.query<{ id: string }>(
    'select id from gdpr_request where company_id = $1 and subject_tag = $2',
    [companyId, subjectTag],
    { timeoutMs: TIMEOUT_MS },
  )
  return row === undefined ? null : findGdprRequest(control, row.id)
}

/** A request that is over keeps a digest of its subject and nothing else. */
export async function closeSubject(tx: Pick<Transaction, 'query'>, id: string): Promise<void> {
  await tx.query(
    'update gdpr_request set subject = subject_digest, subject_tag = null, identifiers_sealed = null where id = $1',
    [id],
  )
}

/** The sealed parts of a request. */
export interface SealedGdprRequest {
  readonly id: string
  readonly companyId: string
  readonly requestType: GdprRequestType
  readonly status: GdprStatus
  /** Null once nothing of the subject is left. */
  readonly identifiersSealed: Buffer | null
  readonly secretSealed: Buffer
  readonly keyRegion: Region
  readonly keyId: string
}

interface SealedRow {
  readonly id: string
  readonly company_id: string
  readonly request_type: GdprRequestType
  readonly status: GdprStatus
  readonly identifiers_sealed: Buffer | null
  readonly secret_sealed: Buffer
  readonly key_region: Region
  readonly key_id: string
}

const sealedColumns = 'id, company_id, request_type, status, identifiers_sealed, secret_sealed, key_region, key_id'

const toSealed = (row: SealedRow): SealedGdprRequest => ({
  id: row.id,
  companyId: row.company_id,
  requestType: row.request_type,
  status: row.status,
  identifiersSealed: row.identifiers_sealed,
  secretSealed: row.secret_sealed,
  keyRegion: row.key_region,
  keyId: row.key_id,
})

/** One request with its sealed parts, or null. Throws DatabaseError. */
export async function findSealedRequest(control: Database, id: string): Promise<SealedGdprRequest | null> {
  const [row] = await control.query<SealedRow>(`select ${sealedColumns} from gdpr_request where id = $1`, [id], {
    timeoutMs: TIMEOUT_MS,
  })
  return row === undefined ? null : toSealed(row)
}

/** Requests that wait for work: approved, under way, or rejected with their key still there; oldest first. */
export async function listWork(control: Database, limit: number): Promise<SealedGdprRequest[]> {
  const rows = await control.query<SealedRow>(
    `select ${sealedColumns} from gdpr_request
     where status in ('ADMIN_APPROVED', 'PROCESSING') or (status = 'REJECTED' and key_destroyed_at is null)
     order by created_at limit $1`,
    [limit],
    { timeoutMs: TIMEOUT_MS },
  )
  return rows.map(toSealed)
}

import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'

const TIMEOUT_MS = 5_000

/** A region in which a company's data has yet to be erased, since it was down when that was tried. */
export interface ErasureDebt {
  readonly companyId: string
  readonly region: Region
}

/** All debts there are; of what was refused or failed nothing is owed. Throws DatabaseError. */
export async function listErasureDebts(control: Database): Promise<ErasureDebt[]> {
  const rows = await control.query<{ company_id: string; region: Region }>(
    `select distinct d.company_id, d.region from erasure_debt d join gdpr_request r on r.id = d.request_id
     where r.status in ('ADMIN_APPROVED', 'PROCESSING')`,
    [],
    { timeoutMs: TIMEOUT_MS, name: 'erasure_debts' },
  )
  return rows.map(({ company_id: companyId, region }) => ({ companyId, region }))
}

/** Notes that a region did not answer to the erasure of a request. Throws DatabaseError. */
export async function noteErasureDebt(
  control: Database,
  request: { readonly id: string; readonly companyId: string },
  region: Region,
): Promise<void> {
  await control.query(
    'insert into erasure_debt (request_id, region, company_id) values ($1, $2, $3) on conflict do nothing',
    [request.id, region, request.companyId],
    { timeoutMs: TIMEOUT_MS, name: 'note_erasure_debt' },
  )
}

/** Forgets the debts of requests: in one region, where they were carried out, or all. Throws DatabaseError. */
export async function settleErasureDebts(
  control: Pick<Database | Transaction, 'query'>,
  requests: readonly { readonly id: string }[],
  region: Region | null,
): Promise<void> {
  await control.query(
    'delete from erasure_debt where request_id = any ($1::uuid[]) and ($2::text is null or region = $2)',
    [requests.map(({ id }) => id), region],
  )
}

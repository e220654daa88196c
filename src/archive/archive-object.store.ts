import { seeAllTenants } from '../checkpoints/checkpoint.store.js'
import type { Database, Transaction } from '../db/database.js'
import type { ObjectClass } from '../objects/object-store.js'
import type { Region } from '../kernel/region.js'
import type { ArchiveFault, ArchiveObject } from './archive-object.js'

interface ObjectRow {
  readonly id: string
  readonly company_id: string
  readonly workspace_id: string
  readonly day: string
  readonly key: string
  readonly revision: number
  readonly first_sequence: string
  readonly last_sequence: string
  readonly size_bytes: string
  readonly sha256: Buffer
  readonly root_hash: Buffer
  readonly storage_class: ObjectClass
  readonly restored_until: Date | null
  readonly created_at: Date
  readonly verified_at: Date
  readonly fault: ArchiveFault | null
  readonly is_being_erased: boolean
}

const columns = `o.id, o.company_id, o.workspace_id, o.day::text as day, o.key, o.revision, o.first_sequence, o.last_sequence,
  o.size_bytes, o.sha256, o.root_hash, o.storage_class, o.restored_until, o.created_at, o.verified_at, o.fault,
  exists (select from deferred_erasure d where d.object_id = o.id) as is_being_erased`

const toObject = (region: Region, row: ObjectRow): ArchiveObject => ({
  id: row.id,
  region,
  companyId: row.company_id,
  workspaceId: row.workspace_id,
  day: row.day,
  key: row.key,
  revision: row.revision,
  firstSequence: Number(row.first_sequence),
  lastSequence: Number(row.last_sequence),
  sizeBytes: Number(row.size_bytes),
  sha256: row.sha256,
  rootHash: row.root_hash,
  storageClass: row.storage_class,
  restoredUntil: row.restored_until,
  createdAt: row.created_at,
  verifiedAt: row.verified_at,
  fault: row.fault,
  isBeingErased: row.is_being_erased,
})

/** The stored objects of these ids, of the companies the transaction sees. */
export async function findObjects(tx: Transaction, region: Region, ids: readonly string[]): Promise<ArchiveObject[]> {
  const rows = await tx.query<ObjectRow>(
    `select ${columns} from archive_object o where o.id = any ($1::uuid[]) and o.state = 'STORED'`,
    [ids],
    'archive_objects_by_id',
  )
  return rows.map((row) => toObject(region, row))
}

/** Days, both included; null: no bound. */
export interface DayRange {
  readonly from: string | null
  readonly to: string | null
}

/** A place in a list of objects. */
export interface ObjectPosition {
  readonly day: string
  readonly firstSequence: number
}

export interface ObjectPage extends DayRange {
  /** `older`: from the newest day, or from `position`, towards older ones. */
  readonly direction: 'older' | 'newer'
  readonly position: ObjectPosition | null
  readonly limit: number
}

/** The stored objects of a workspace, by day and first sequence. */
export async function readObjectPage(
  tx: Transaction,
  region: Region,
  workspaceId: string,
  { from, to, direction, position, limit }: ObjectPage,
): Promise<ArchiveObject[]> {
  const [sign, order] = direction === 'older' ? ['<', 'desc'] : ['>', 'asc']
  const rows = await tx.query<ObjectRow>(
    `select ${columns} from archive_object o
     where o.workspace_id = $1 and o.state = 'STORED' and ($2::date is null or o.day >= $2) and ($3::date is null or o.day <= $3)
       and ($4::date is null or (o.day, o.first_sequence) ${sign} ($4::date, $5::bigint))
     order by o.day ${order}, o.first_sequence ${order} limit $6`,
    [workspaceId, from, to, position?.day ?? null, position?.firstSequence ?? null, limit],
    `archive_object_page_${direction}`,
  )
  return rows.map((row) => toObject(region, row))
}

/** All stored objects of a workspace within some days, oldest first. */
export const listObjects = (
  tx: Transaction,
  region: Region,
  workspaceId: string,
  range: DayRange,
): Promise<ArchiveObject[]> =>
  readObjectPage(tx, region, workspaceId, { ...range, direction: 'newer', position: null, limit: 1_000_000 })

export async function countObjects(tx: Transaction, workspaceId: string, { from, to }: DayRange): Promise<number> {
  const [row] = await tx.query<{ count: string }>(
    `select count(*) as count from archive_object
     where workspace_id = $1 and state = 'STORED' and ($2::date is null or day >= $2) and ($3::date is null or day <= $3)`,
    [workspaceId, from, to],
    'count_archive_objects',
  )
  return Number(row!.count)
}

/** Notes what the store says of an object's bytes. */
export async function noteClass(
  tx: Transaction,
  id: string,
  { objectClass, restoredUntil }: { readonly objectClass: ObjectClass; readonly restoredUntil: Date | null },
): Promise<void> {
  await tx.query(
    'update archive_object set storage_class = $2, restored_until = $3 where id = $1',
    [id, objectClass, restoredUntil],
    'note_archive_class',
  )
}

/** Notes what a verification found; `verifiedAt` null: the bytes could not be read. */
export async function noteVerification(
  tx: Transaction,
  id: string,
  found: { readonly checkedAt: Date; readonly verifiedAt: Date | null; readonly fault: ArchiveFault | null },
): Promise<void> {
  await tx.query(
    `update archive_object set checked_at = $2, verified_at = coalesce($3, verified_at), fault = $4 where id = $1`,
    [id, found.checkedAt, found.verifiedAt, found.fault],
    'note_archive_verification',
  )
}

const TIMEOUT_MS = 30_000

/** Stored objects of all tenants of a region. Of erasures under way it does not tell. */
async function acrossTenants(
  database: Database,
  region: Region,
  condition: string,
  values: readonly unknown[],
): Promise<ArchiveObject[]> {
  return database.transaction({ companies: [], readOnly: true, timeoutMs: TIMEOUT_MS }, async (tx) => {
    await seeAllTenants(tx)
    const rows = await tx.query<ObjectRow>(
      `select ${columns} from archive_object o where o.state = 'STORED' and ${condition}`,
      values,
    )
    return rows.map((row) => toObject(region, row))
  })
}

/** A stored object, of whatever company: whether the caller may see it is the caller's to find out. */
export const findAnyObject = async (database: Database, region: Region, id: string): Promise<ArchiveObject | null> =>
  (await acrossTenants(database, region, 'o.id = $1', [id]))[0] ?? null

/** Warm objects of days before the one given, oldest first, after one of them. */
export const listToMoveCold = (
  database: Database,
  region: Region,
  beforeDay: string,
  after: string,
  limit: number,
): Promise<ArchiveObject[]> =>
  acrossTenants(database, region, `o.storage_class = 'WARM' and o.day < $1 and o.id > $2 order by o.id limit $3`, [
    beforeDay,
    after,
    limit,
  ])

/** Objects whose restore is under way, or whose copy is past its time. */
export const listRestores = (
  database: Database,
  region: Region,
  after: string,
  limit: number,
): Promise<ArchiveObject[]> =>
  acrossTenants(database, region, `o.storage_class in ('RESTORING', 'RESTORED') and o.id > $1 order by o.id limit $2`, [
    after,
    limit,
  ])

/** Objects that were not looked at since a moment: those of which that is longest ago first. */
export const listToVerify = (
  database: Database,
  region: Region,
  checkedBefore: Date,
  limit: number,
): Promise<ArchiveObject[]> =>
  acrossTenants(
    database,
    region,
    `(o.checked_at is null or o.checked_at < $1) order by coalesce(o.checked_at, o.verified_at), o.id limit $2`,
    [checkedBefore, limit],
  )

/** How many objects a region has, by class, and what they hold. */
export async function readArchiveFigures(
  database: Database,
  timeoutMs: number,
): Promise<{ storageClass: ObjectClass; objects: number; bytes: number; events: number; faulty: number }[]> {
  return database.transaction({ companies: [], readOnly: true, timeoutMs }, async (tx) => {
    await seeAllTenants(tx)
    const rows = await tx.query<Record<'objects' | 'bytes' | 'events' | 'faulty', string> & { class: ObjectClass }>(
      `select storage_class as class, count(*) as objects, sum(size_bytes) as bytes,
         sum(last_sequence - first_sequence + 1) as events, count(fault) as faulty
       from archive_object where state = 'STORED' group by storage_class`,
      [],
      'archive_figures',
    )
    return rows.map((row) => ({
      storageClass: row.class,
      objects: Number(row.objects),
      bytes: Number(row.bytes),
      events: Number(row.events),
      faulty: Number(row.faulty),
    }))
  })
}

import type { ObjectClass } from '../objects/object-store.js'
import type { Region } from '../kernel/region.js'

/** What a verification can find wrong with an archive object. */
export const archiveFaults = ['MISSING', 'ALTERED', 'TRUNCATED', 'SWAPPED', 'WRONG_COUNT', 'BROKEN_CHAIN'] as const
export type ArchiveFault = (typeof archiveFaults)[number]

/** A run of one chain, of one day of receivedAt, in an immutable object of the region's bucket. */
export interface ArchiveObject {
  readonly id: string
  readonly region: Region
  readonly companyId: string
  readonly workspaceId: string
  /** UTC, `YYYY-MM-DD`. */
  readonly day: string
  readonly key: string
  /** Counts from 1; grows where an erasure had it rewritten. */
  readonly revision: number
  readonly firstSequence: number
  readonly lastSequence: number
  readonly sizeBytes: number
  readonly sha256: Buffer
  /** The RFC 6962 root over the hashes of its events alone. */
  readonly rootHash: Buffer
  /** Where its bytes were when the store was last asked. */
  readonly storageClass: ObjectClass
  readonly restoredUntil: Date | null
  readonly createdAt: Date
  /** When its bytes were last found whole. */
  readonly verifiedAt: Date
  /** What was found when they last were not; null: nothing since. */
  readonly fault: ArchiveFault | null
  /** An erasure that concerns it is under way: nobody reads it until it has been rewritten. */
  readonly isBeingErased: boolean
}

export const eventCount = ({ firstSequence, lastSequence }: Pick<ArchiveObject, 'firstSequence' | 'lastSequence'>) =>
  lastSequence - firstSequence + 1

/** The class as of now: a restored copy ends by itself. */
export const classAt = ({ storageClass, restoredUntil }: ArchiveObject, now: Date): ObjectClass =>
  storageClass === 'RESTORED' && restoredUntil !== null && restoredUntil <= now ? 'COLD' : storageClass

/** Whether the bytes of an object of this class can be read. */
export const isReadable = (objectClass: ObjectClass): boolean => objectClass === 'WARM' || objectClass === 'RESTORED'

/** A run that is to be archived, or was. */
export interface ArchiveRun {
  readonly companyId: string
  readonly workspaceId: string
  readonly day: string
  readonly firstSequence: number
  readonly lastSequence: number
}

const SUFFIX = '.ndjson.zst'

/** The key of a run's object. A revision after the first has a key of its own: nothing is ever written over. */
export const archiveKey = (run: ArchiveRun, revision = 1): string =>
  `${run.companyId}/${run.workspaceId}/${run.day}.${run.firstSequence}-${run.lastSequence}${revision === 1 ? '' : `.r${revision}`}${SUFFIX}`

/** The key of the manifest that lies beside an object. */
export const manifestKey = (key: string): string => `${key.slice(0, -SUFFIX.length)}.manifest.json`

/** The key of the table of clear columns that may lie beside an object, partitioned as query engines know it. */
export function parquetKeyOf(key: string): string {
  const [company, workspace, name] = key.split('/')
  const [day, range] = name!.split('.')
  return `parquet/company=${company}/workspace=${workspace}/day=${day}/${range}.parquet`
}

import type { Region } from '../kernel/region.js'

/**
 * One recorded event as its region stores it. Personal data stands only in the two sealed blobs; everything in clear
 * is ours or was declared free of personal data by the caller. Ids are plain UUIDs, hashes 32 bytes.
 */
export interface AuditEvent {
  readonly id: string
  /** Where it lives. */
  readonly region: Region
  /** Where it was read: another region where a replica stood in. */
  readonly servedBy: Region
  readonly companyId: string
  readonly workspaceId: string
  readonly projectId: string | null
  readonly action: string
  readonly category: string
  readonly targetType: string | null
  readonly occurredAt: Date
  readonly receivedAt: Date
  /** Position in its workspace's chain, from 1 without gaps. */
  readonly sequence: number
  readonly hash: Buffer
  /** Null at the first event of a chain. */
  readonly prevHash: Buffer | null
  /** Set once personal data in the event has been erased. */
  readonly erasedAt: Date | null
  /** 8 bytes that an anonymised actor is known by; null where it isn't. */
  readonly actorPseudonym: Buffer | null
  /** Sealed `actor.*`; null where there was none or it is erased. */
  readonly identityBlob: Buffer | null
  /** Sealed payload, metadata, changes, target id and trace id; null where there was none or it is erased. */
  readonly contentBlob: Buffer | null
  /** The archive object that has its body and blobs; null while the region's database has them. */
  readonly archiveObjectId: string | null
}

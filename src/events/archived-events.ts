import type { Region } from '../kernel/region.js'

/** What only the archive object has of an event: the rest stays in its region's database. */
export interface ArchivedLine {
  /** The ledger body, byte for byte. */
  readonly body: Buffer
  readonly identityBlob: Buffer | null
  readonly contentBlob: Buffer | null
}

/** The lines of one archive object, by sequence. */
export type ArchivedLines = ReadonlyMap<number, ArchivedLine>

/** Why an object gives no lines: it has to be restored first, or what is there is not what was written. */
export type ArchiveObstacle = 'COLD' | 'DAMAGED'

/** Objects of one company in one region, by their UUIDs. */
export interface ArchiveSelection {
  readonly region: Region
  readonly companyId: string
  readonly objectIds: readonly string[]
}

/** Reads what was archived. Written for those who read events; `src/archive` is what it is. */
export interface ArchiveAccess {
  /** The lines of objects, or why there are none of one. REGION_UNAVAILABLE where the bucket does not answer. */
  look(selection: ArchiveSelection): Promise<ReadonlyMap<string, ArchivedLines | ArchiveObstacle>>
  /**
   * The lines of objects for who needs all of them; without `withLines` it is only seen to that they can be read, and
   * the answer is empty. RESTORE_REQUIRED naming every cold one before a byte is read, REGION_UNAVAILABLE where one is
   * damaged or the bucket does not answer.
   */
  require(selection: ArchiveSelection, withLines?: boolean): Promise<ReadonlyMap<string, ArchivedLines>>
  /**
   * Sees to it that every object of a workspace with events received in [from, to) can be read now. RESTORE_REQUIRED
   * naming every one that can't, REGION_UNAVAILABLE.
   */
  requireReadable(
    region: Region,
    companyId: string,
    workspaceId: string,
    range: { readonly from: Date | null; readonly to: Date | null },
  ): Promise<void>
}

/** Reads no object at all: for who only needs links, and leaves the bodies to whoever verifies the objects. */
export const linksOnly: Pick<ArchiveAccess, 'look'> = {
  look: ({ objectIds }) => Promise.resolve(new Map(objectIds.map((id) => [id, 'COLD']))),
}

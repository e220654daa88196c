import type { Transaction } from '../db/database.js'
import { readBody } from '../ledger/body-rules.js'
import { bodyHash, type EventPlace, linkHash, toBytes, tombstone, TombstoneSet, utf8Text } from '../ledger/index.js'
import { findErased, findStoredEvent, type StoredEvent } from './stored-chain.store.js'

type Fail = (reason: 'MISSING_DISCLOSURE' | 'TOMBSTONE_MISMATCH', detail: string, place: EventPlace) => void

/** Verifies an erasure beyond the stretch that an event of the stretch is erased by: its own event, and its whole set. */
export async function verifyErasure(
  tx: Transaction,
  workspaceId: string,
  { erasure, namedBy }: { readonly erasure: number; readonly namedBy: EventPlace },
  fail: Fail,
): Promise<void> {
  const row = await findStoredEvent(tx, workspaceId, erasure)
  const said = row === null ? null : erasureOf(row, workspaceId)
  if (said === null) return fail('MISSING_DISCLOSURE', 'the erasure that a tombstone names is not there', namedBy)
  const erased = await findErased(tx, workspaceId, erasure)
  const hashes = erased.map(({ sequence, digest }) => tombstone({ workspaceId, sequence, digest: toBytes(digest) }))
  const isWhole =
    erased.length === said.disclosures &&
    new Set(erased.map(({ sequence }) => sequence)).size === said.events &&
    new TombstoneSet(hashes).root().equals(toBytes(said.root))
  if (!isWhole)
    fail('TOMBSTONE_MISMATCH', 'the tombstones are not those the erasure commits to', {
      sequence: erasure,
      eventId: row!.id,
    })
}

/** What the event says it erased, or null where it is no erasure or its hash isn't that of its body. */
function erasureOf(row: StoredEvent, workspaceId: string) {
  const read = readBody(utf8Text(row.body ?? Buffer.alloc(0)) ?? '')
  const system = typeof read === 'string' ? null : read.system
  const hash = linkHash({
    term: row.term,
    workspaceId,
    sequence: Number(row.sequence),
    prevHash: row.prev_hash,
    bodyHash: bodyHash(row.body ?? Buffer.alloc(0)),
  })
  return system?.kind === 'erasure' && hash.equals(row.hash) ? system.erasure : null
}

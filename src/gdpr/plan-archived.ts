import type { KeyObject } from 'node:crypto'
import type { ArchiveLine } from '../archive/archive-line.js'
import type { ArchiveObject } from '../archive/archive-object.js'
import type { Database } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import { digestsOf, readBody } from '../ledger/body-rules.js'
import { utf8Text } from '../ledger/crypto.js'
import { disclosureDigest, type Disclosure } from '../ledger/index.js'
import { blobKeyId, type BlobName, open } from '../sealing/sealed-blob.js'
import { type ArchivedPlace, readErasedDigests, readPlaces } from './archive-erasure.store.js'
import { type EraseWorkspaceDeps, type ErasureSubject, keyIdsOf, type PlannedErasure } from './erase-workspace.js'
import { planErasure } from './plan-erasure.js'

const TIMEOUT_MS = 60_000
const KEYS_PER_READ = 1_000

/** What an erasure takes from the events of an archive object, in order. */
export async function planArchived(
  deps: EraseWorkspaceDeps,
  { region, database }: { readonly region: Region; readonly database: Database },
  { requestId, companyId, mode, tags, mentions }: ErasureSubject,
  object: ArchiveObject,
  lines: ReadonlyMap<number, ArchiveLine>,
): Promise<PlannedErasure[]> {
  const { workspaceId, firstSequence, lastSequence } = object
  const transact = { companies: [companyId], timeoutMs: TIMEOUT_MS }
  const { places, erased } = await database.transaction(transact, async (tx) => ({
    places: await readPlaces(tx, object.id, requestId, tags),
    erased: await readErasedDigests(tx, workspaceId, firstSequence, lastSequence),
  }))
  const rows = places.map((place) => ({ place, row: rowOf(place, lines.get(place.sequence)!) }))
  const ids = [...new Set(rows.flatMap(({ row }) => keyIdsOf(row)))]
  const keys = new Map<string, KeyObject>()
  for (let at = 0; at < ids.length; at += KEYS_PER_READ)
    for (const [id, key] of await database.transaction(transact, (tx) =>
      deps.subjectKeys.load(tx, region, ids.slice(at, at + KEYS_PER_READ)),
    ))
      keys.set(id, key)
  const planned: PlannedErasure[] = []
  for (const { place, row } of rows) {
    const opened = (blob: BlobName, bytes: Buffer | null): readonly Disclosure[] | null => {
      const key = bytes === null ? undefined : keys.get(blobKeyId(bytes))
      return bytes === null || key === undefined ? null : open(key, { workspaceId, eventId: row.id, blob }, bytes)
    }
    const gone = erased.get(place.sequence) ?? new Set<string>()
    const identity = withoutErased(opened('identity', row.identity_blob), gone)
    const content = withoutErased(opened('content', row.content_blob), gone)
    const erasure = planErasure(
      mode,
      { sequence: place.sequence, id: row.id, isOwn: place.isOwn, identity, content },
      mentions,
    )
    if (!place.isDeferred) {
      if (erasure !== null) planned.push({ erasure, row })
      continue
    }
    const lost = lostDigests(lines.get(place.sequence)!, [...(identity ?? []), ...(content ?? [])], gone)
    const digests = [...(erasure?.digests ?? []), ...lost]
    const nothing = { sequence: place.sequence, isOwn: true, identity: null, target: false, trace: false }
    const kept = erasure ?? { ...nothing, content }
    if (digests.length > 0) planned.push({ erasure: { ...kept, digests, identity: null, actor: true }, row })
  }
  return planned
}

const rowOf = ({ id }: ArchivedPlace, line: ArchiveLine): PlannedErasure['row'] => ({
  id,
  identity_blob: line.identityBlob,
  content_blob: line.contentBlob,
})

/** An object that needed no rewriting still has what was erased before, under a key that may not be gone yet. */
const withoutErased = (
  disclosures: readonly Disclosure[] | null,
  erased: ReadonlySet<string>,
): readonly Disclosure[] | null =>
  disclosures === null || erased.size === 0
    ? disclosures
    : disclosures.filter((one) => !erased.has(disclosureDigest(one).toString('base64')))

/** The digests of a body that nothing discloses any more and no erasure accounts for yet: their key was destroyed. */
function lostDigests(line: ArchiveLine, disclosed: readonly Disclosure[], erased: ReadonlySet<string>): Buffer[] {
  const body = readBody(utf8Text(line.body) ?? '')
  const digests = typeof body === 'string' ? null : digestsOf(body)
  const known = new Set(disclosed.map((one) => disclosureDigest(one).toString('base64')))
  return (digests ?? [])
    .filter((digest) => !known.has(digest) && !erased.has(digest))
    .map((digest) => Buffer.from(digest, 'base64'))
}

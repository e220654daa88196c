import { CompactRange, linkHash, ZERO_HASH } from '../ledger/index.js'
import { bodyHash } from '../ledger/body.js'
import { readBody } from '../ledger/body-rules.js'
import { utf8Text } from '../ledger/crypto.js'
import { ObjectNotFoundError, ObjectStoreError } from '../objects/object-errors.js'
import type { ObjectStore } from '../objects/object-store.js'
import type { ArchiveLine } from './archive-line.js'
import { type ArchiveFault, type ArchiveObject, eventCount, manifestKey } from './archive-object.js'
import { linesOf, type SeenBytes, watched } from './object-lines.js'

/**
 * Downloads, unpacks and checks an object and its manifest against what is known of it: digest, count, chain and root;
 * `hashes` are those of its events in the database, in order. Answers what is wrong, or null. Throws the store's errors
 * but for an object that is not there.
 */
export async function verifyBytes(
  store: ObjectStore,
  object: ArchiveObject,
  hashes: readonly Buffer[],
  signal: AbortSignal,
): Promise<ArchiveFault | null> {
  try {
    return (await faultOfObject(store, object, hashes, signal)) ?? (await faultOfManifest(store, object))
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return 'MISSING'
    throw error
  }
}

async function faultOfObject(
  store: ObjectStore,
  object: ArchiveObject,
  hashes: readonly Buffer[],
  signal: AbortSignal,
): Promise<ArchiveFault | null> {
  const seen: SeenBytes = { sizeBytes: 0, sha256: null }
  const tree = CompactRange.empty()
  const bytes = await store.get(object.key)
  let isOther = false
  let isBroken = false
  let previous: Buffer | null = null
  try {
    for await (const line of linesOf(watched(bytes, seen))) {
      signal.throwIfAborted()
      isOther ||= !belongsTo(object, line)
      isBroken ||= !isLinked(object, line, previous, hashes[tree.size])
      previous = line.hash
      tree.append(line.hash)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ObjectStoreError) throw error
    // It doesn't unpack: whether the end is missing, its size tells.
    const head = await store.head(object.key)
    return head !== null && head.sizeBytes < object.sizeBytes ? 'TRUNCATED' : 'ALTERED'
  }
  const isSame = seen.sha256?.equals(object.sha256) === true
  if (isOther && !isSame) return 'SWAPPED'
  if (tree.size !== eventCount(object)) return 'WRONG_COUNT'
  if (!isSame) return 'ALTERED'
  return isBroken || isOther || !tree.root().equals(object.rootHash) ? 'BROKEN_CHAIN' : null
}

/** A line of another chain, or of another run of this one. */
function belongsTo(
  { workspaceId, firstSequence, lastSequence }: ArchiveObject,
  { sequence, body }: ArchiveLine,
): boolean {
  const read = readBody(utf8Text(body) ?? '')
  if (typeof read !== 'string' && read.fields.workspace !== workspaceId) return false
  return sequence >= firstSequence && sequence <= lastSequence
}

function isLinked(
  { workspaceId, firstSequence }: ArchiveObject,
  { sequence, term, prevHash, hash, body }: ArchiveLine,
  previous: Buffer | null,
  known: Buffer | undefined,
): boolean {
  if (known === undefined || !hash.equals(known)) return false
  if (previous === null ? sequence !== firstSequence : !prevHash.equals(previous)) return false
  if (sequence === 1 && !prevHash.equals(ZERO_HASH)) return false
  return linkHash({ term, workspaceId, sequence, prevHash, bodyHash: bodyHash(body) }).equals(hash)
}

async function faultOfManifest(store: ObjectStore, object: ArchiveObject): Promise<ArchiveFault | null> {
  const chunks: Uint8Array[] = []
  for await (const chunk of await store.get(manifestKey(object.key))) chunks.push(chunk)
  const said = parsed(Buffer.concat(chunks).toString('utf8'))
  const isRight =
    said['workspace'] === object.workspaceId &&
    said['firstSequence'] === object.firstSequence &&
    said['lastSequence'] === object.lastSequence &&
    said['eventCount'] === eventCount(object) &&
    said['sha256'] === object.sha256.toString('hex') &&
    said['root'] === object.rootHash.toString('hex')
  return isRight ? null : 'ALTERED'
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

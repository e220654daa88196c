import { createHash } from 'node:crypto'
import { CompactRange } from '../ledger/index.js'
import type { ObjectHead, ObjectStore } from '../objects/object-store.js'
import { type ArchiveLine, writeArchiveLine } from './archive-line.js'
import { type ArchiveRun, eventCount, manifestKey } from './archive-object.js'
import { compressed, linesOf, type SeenBytes, watched } from './object-lines.js'

const CONTENT_TYPE = 'application/zstd'
const MANIFEST_TYPE = 'application/json'

/** An object that was written, as its own lines say. */
export interface WrittenObject {
  readonly sizeBytes: number
  readonly sha256: Buffer
  /** The RFC 6962 root over the hashes of its events alone. */
  readonly rootHash: Buffer
  /** SHA-256 over each event's hash and the heads of its blobs: changes with every erasure. */
  readonly fingerprint: Buffer
}

/** What was read back is not what was written. */
export class NotAsWritten extends Error {
  override readonly name = 'NotAsWritten'
}

/** Version, key id and nonce of a blob: no two sealings share them. */
const BLOB_HEAD_BYTES = 29
const noBlob = Buffer.alloc(1)
const headOf = (blob: Buffer | null): Uint8Array => blob?.subarray(0, BLOB_HEAD_BYTES) ?? noBlob

/**
 * Writes lines to an object and reads it back: what this answers was on the other side, byte for byte, a moment ago.
 * `before`: what lies at the key already, from an attempt that came to nothing. Throws {@link NotAsWritten}, the
 * store's errors, and what `lines` throws.
 */
export async function writeObject(
  store: ObjectStore,
  key: string,
  lines: AsyncIterable<ArchiveLine>,
  before: ObjectHead | null,
  onStep: (step: string) => void,
): Promise<WrittenObject> {
  const tree = CompactRange.empty()
  const fingerprint = createHash('sha256')
  const seen: SeenBytes = { sizeBytes: 0, sha256: null }
  async function* texts(): AsyncGenerator<string> {
    for await (const line of lines) {
      tree.append(line.hash)
      fingerprint.update(line.hash).update(headOf(line.identityBlob)).update(headOf(line.contentBlob))
      yield `${writeArchiveLine(line)}\n`
    }
  }
  const precondition = before === null ? 'new' : { version: before.version }
  await store.put(key, watched(compressed(texts()), seen), { contentType: CONTENT_TYPE, precondition })
  onStep('object.written')
  const rootHash = Buffer.from(tree.root())
  await readBack(store, key, { sizeBytes: seen.sizeBytes, sha256: seen.sha256!, rootHash, events: tree.size })
  onStep('object.read_back')
  return { sizeBytes: seen.sizeBytes, sha256: seen.sha256!, rootHash, fingerprint: fingerprint.digest() }
}

async function readBack(
  store: ObjectStore,
  key: string,
  written: { readonly sizeBytes: number; readonly sha256: Buffer; readonly rootHash: Buffer; readonly events: number },
): Promise<void> {
  const seen: SeenBytes = { sizeBytes: 0, sha256: null }
  const tree = CompactRange.empty()
  for await (const line of linesOf(watched(await store.get(key), seen))) tree.append(line.hash)
  const isSame =
    seen.sizeBytes === written.sizeBytes &&
    seen.sha256?.equals(written.sha256) === true &&
    tree.size === written.events &&
    written.rootHash.equals(Buffer.from(tree.root()))
  if (!isSame) throw new NotAsWritten(`the object ${key} was not read back as it was written`)
}

/** What a manifest says of the object beside it. */
export interface Manifest {
  readonly run: ArchiveRun
  readonly key: string
  readonly revision: number
  readonly written: Pick<WrittenObject, 'sizeBytes' | 'sha256' | 'rootHash'>
  /** The newest signed checkpoint that covers the run, as its note; null where none does yet. */
  readonly checkpoint: string | null
}

export function manifestText({ run, key, revision, written, checkpoint }: Manifest): string {
  const { companyId: company, workspaceId: workspace, day, firstSequence, lastSequence } = run
  const { sizeBytes, sha256, rootHash } = written
  const members = {
    format: 'HL1A',
    company,
    workspace,
    day,
    object: key.slice(key.lastIndexOf('/') + 1),
    revision,
    firstSequence,
    lastSequence,
    eventCount: eventCount(run),
    sizeBytes,
    sha256: sha256.toString('hex'),
    root: rootHash.toString('hex'),
    checkpoint,
  }
  return `${JSON.stringify(members, null, 2)}\n`
}

/** Writes the manifest of an object, in the place of one that an attempt left. */
export async function writeManifest(store: ObjectStore, manifest: Manifest): Promise<void> {
  await putSmall(store, manifestKey(manifest.key), Buffer.from(manifestText(manifest), 'utf8'), MANIFEST_TYPE)
}

/** Puts a small object, in the place of what is there. */
export async function putSmall(store: ObjectStore, key: string, bytes: Uint8Array, contentType: string): Promise<void> {
  const before = await store.head(key)
  const precondition = before === null ? 'new' : { version: before.version }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  async function* body(): AsyncGenerator<Uint8Array> {
    yield bytes
  }
  await store.put(key, body(), { contentType, precondition, sha256 })
}

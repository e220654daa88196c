import { findCheckpoint } from '../checkpoints/checkpoint.store.js'
import type { ArchiveDeps, ArchivePlace } from './archive-deps.js'
import type { ArchiveLine } from './archive-line.js'
import { archiveKey, type ArchiveObject } from './archive-object.js'
import { findObjects } from './archive-object.store.js'
import { moveObject } from './cold-archive.job.js'
import { writeManifest, writeObject } from './write-object.js'

const TIMEOUT_MS = 30_000

/**
 * Writes an object's lines anew under the key of its next revision, and reads them back. Nothing refers to it before
 * the caller has the database say so: what a crash leaves is written over by the next attempt.
 */
export async function writeRevision(
  deps: ArchiveDeps,
  { region, database }: ArchivePlace,
  object: ArchiveObject,
  lines: Iterable<ArchiveLine>,
): Promise<{ readonly key: string; readonly sizeBytes: number; readonly sha256: Buffer }> {
  const { onStep = () => undefined } = deps
  const store = await deps.stores.of(region)
  const revision = object.revision + 1
  const key = archiveKey(object, revision)
  async function* each(): AsyncGenerator<ArchiveLine> {
    yield* lines
  }
  const written = await writeObject(store, key, each(), await store.head(key), onStep)
  if (!written.rootHash.equals(object.rootHash)) throw new Error('a rewritten object has other events than it had')
  const options = { companies: [object.companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
  const checkpoint = await database.transaction(options, (tx) => findCheckpoint(tx, object.workspaceId))
  await writeManifest(store, { run: object, key, revision, written, checkpoint: checkpoint?.note ?? null })
  onStep('manifest.written')
  return { key, sizeBytes: written.sizeBytes, sha256: written.sha256 }
}

/** Sends an object that was restored to be rewritten back to cold storage. `object` is as it was listed before. */
export async function sendBack(
  deps: ArchiveDeps,
  { region, database }: ArchivePlace,
  object: ArchiveObject,
): Promise<void> {
  deps.figures.add('erasure_rewrites', region)
  if (object.storageClass === 'WARM') return
  const options = { companies: [object.companyId], readOnly: true, timeoutMs: TIMEOUT_MS }
  const [now] = await database.transaction(options, (tx) => findObjects(tx, region, [object.id]))
  if (now !== undefined) await moveObject(deps, now)
}

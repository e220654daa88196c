import { readFile, rename, writeFile } from 'node:fs/promises'
import type { ExportVerdict, SeenCheckpoint } from '../sdk/index.js'

/** A checkpoint of the file given with --seen. */
export interface KeptCheckpoint extends SeenCheckpoint {
  /** Whether its signer was pinned: one that wasn't is no reason to doubt one that is. */
  readonly pinned: boolean
}

/** The file can't be used; the message is for people. */
export class SeenFileError extends Error {
  override readonly name = 'SeenFileError'
}

/** What was kept; nothing where there is no file yet. Throws {@link SeenFileError}. */
export async function readSeen(path: string): Promise<readonly KeptCheckpoint[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new SeenFileError(`${path} can't be read (${error.code}).`)
  })
  if (text === null) return []
  try {
    const { checkpoints } = JSON.parse(text) as { checkpoints?: unknown }
    if (Array.isArray(checkpoints) && checkpoints.every(isKept)) return checkpoints
  } catch {
    // Said below.
  }
  throw new SeenFileError(`${path} is not a file of --seen: its checkpoints can't be compared.`)
}

const isKept = (value: unknown): value is KeptCheckpoint => {
  if (typeof value !== 'object' || value === null) return false
  const { origin, treeSize, rootHash, pinned } = value as Partial<KeptCheckpoint>
  return (
    typeof origin === 'string' &&
    Number.isSafeInteger(treeSize) &&
    typeof rootHash === 'string' &&
    /^[0-9a-f]{64}$/.test(rootHash) &&
    typeof pinned === 'boolean'
  )
}

/** Keeps the checkpoint of a verified export, where it is the newest of its workspace. */
export async function keepSeen(
  path: string,
  kept: readonly KeptCheckpoint[],
  { ok, checkpoint }: ExportVerdict,
): Promise<void> {
  if (!ok || checkpoint === null) return
  const { origin, treeSize, rootHash, signerPinned: pinned } = checkpoint
  const isReplaced = (one: KeptCheckpoint): boolean =>
    one.origin === origin && (one.pinned === pinned ? one.treeSize <= treeSize : pinned)
  if (kept.some((one) => one.origin === origin && !isReplaced(one))) return
  const checkpoints = [...kept.filter((one) => !isReplaced(one)), { origin, treeSize, rootHash, pinned }]
  const draft = `${path}.${process.pid}.tmp`
  await writeFile(draft, `${JSON.stringify({ checkpoints }, null, 2)}\n`, { mode: 0o600 })
  await rename(draft, path)
}

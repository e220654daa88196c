import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  ObjectDigestError,
  ObjectExistsError,
  ObjectStoreError,
  ObjectStoreUnavailableError,
} from '../object-errors.js'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600

/** The system's short name of what failed, such as `ENOENT`; undefined for anything that isn't the system's. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Runs what touches the disk; what the system refuses comes out as ObjectStoreUnavailableError. */
export async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = systemCode(error)
    throw error instanceof ObjectStoreError || code === undefined ? error : new ObjectStoreUnavailableError(code, error)
  }
}

/** Null where there is nothing of this name. */
export async function ifThere<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw error
  }
}

/** What happened to the names in a folder outlasts a power failure after this. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Makes a folder and those above it, each of them safely named on disk. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: FOLDER_MODE })
  if (first === undefined) return
  for (let at = path; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at))
}

export async function renameDurably(from: string, to: string): Promise<void> {
  await makeFolder(dirname(to))
  await rename(from, to)
  await syncFolder(dirname(to))
  if (dirname(from) !== dirname(to)) await syncFolder(dirname(from))
}

/** Gives a file a name that nothing has yet, ObjectExistsError otherwise; it keeps the one it had. */
export async function nameDurably(from: string, to: string, key: string): Promise<void> {
  await makeFolder(dirname(to))
  try {
    await link(from, to)
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? new ObjectExistsError(key) : error
  }
  await syncFolder(dirname(to))
}

/** Deletes a file that may be gone already; true where it was there. */
export async function removeDurably(path: string): Promise<boolean> {
  if ((await ifThere(rm(path).then(() => true))) === null) return false
  await syncFolder(dirname(path))
  return true
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten
}

/**
 * Writes a body, wholly on disk, to a new file in `folder` that has no name of its own yet; answers its path. Where the
 * body fails or isn't what `sha256` says (ObjectDigestError), nothing is left of it.
 */
export async function writeNameless(
  folder: string,
  key: string,
  body: AsyncIterable<Uint8Array>,
  sha256?: string,
): Promise<string> {
  await makeFolder(folder)
  const path = join(folder, randomUUID())
  const handle = await open(path, 'wx', FILE_MODE)
  try {
    const hash = createHash('sha256')
    for await (const chunk of body) {
      hash.update(chunk)
      await writeAll(handle, chunk)
    }
    if (sha256 !== undefined && hash.digest('hex') !== sha256) throw new ObjectDigestError(key)
    await handle.sync()
  } catch (error) {
    await handle.close()
    await rm(path, { force: true })
    throw error
  }
  await handle.close()
  return path
}

/** Replaces a small file at once, on disk when this resolves. */
export async function replaceText(incoming: string, path: string, text: string): Promise<void> {
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text, 'utf8')
  }
  await renameDurably(await writeNameless(incoming, path, body()), path)
}

export const readText = (path: string): Promise<string | null> => ifThere(readFile(path, 'utf8'))

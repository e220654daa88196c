import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Region } from '../kernel/region.js'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const COPY_BYTES = 256 * 1024

/** The folder of a region's exports. */
export const exportFolder = (exportsDir: string, region: Region): string => join(exportsDir, region.toLowerCase())

/** Names only ever come from {@link exportFileName}: an id, which attempt wrote it, and the format. */
export const exportFileName = (id: string, attempt: number, format: string): string =>
  `${id}.${attempt}.${format.toLowerCase()}`

/** The export that a file belongs to, or null where it isn't one of ours. */
export const exportIdOf = (fileName: string): string | null =>
  /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.\d+\.(?:ndjson|csv)$/.exec(fileName)?.[1] ?? null

/**
 * The file one attempt writes, hashed as it grows. A process that takes over copies what its predecessor had safely on
 * disk into a file of its own: whatever the predecessor, if it still lives, writes after that is in nobody's way.
 */
export class ExportFile {
  readonly #handle: FileHandle
  readonly #hash: Hash = createHash('sha256')
  #bytes = 0

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /**
   * Begins the file of an attempt. `before`: what an earlier attempt left; where that isn't there as a whole, the file
   * begins empty, which {@link bytes} tells.
   */
  static async begin(
    folder: string,
    fileName: string,
    before: { readonly fileName: string; readonly bytes: number } | null,
  ): Promise<ExportFile> {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
    const handle = await open(join(folder, fileName), 'w', FILE_MODE)
    const file = new ExportFile(handle)
    try {
      if (before !== null && before.bytes > 0 && !(await file.#copy(join(folder, before.fileName), before.bytes)))
        throw new Error('an export lost what was on disk of it')
      return file
    } catch (error) {
      await handle.close()
      if (before === null) throw error
      return ExportFile.begin(folder, fileName, null)
    }
  }

  get bytes(): number {
    return this.#bytes
  }

  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text, 'utf8')
    this.#hash.update(bytes)
    await writeAll(this.#handle, bytes)
    this.#bytes += bytes.length
  }

  /** Everything appended so far is on disk. */
  async sync(): Promise<void> {
    await this.#handle.sync()
  }

  /** Ends the file; answers the SHA-256 of all of it. */
  async finish(): Promise<Buffer> {
    await this.#handle.sync()
    await this.#handle.close()
    return this.#hash.digest()
  }

  async abandon(): Promise<void> {
    await this.#handle.close()
  }

  async #copy(path: string, length: number): Promise<boolean> {
    const source = await open(path, 'r')
    try {
      const buffer = Buffer.alloc(COPY_BYTES)
      while (this.#bytes < length) {
        const { bytesRead } = await source.read(buffer, 0, Math.min(COPY_BYTES, length - this.#bytes), this.#bytes)
        if (bytesRead === 0) return false
        const chunk = buffer.subarray(0, bytesRead)
        this.#hash.update(chunk)
        await writeAll(this.#handle, chunk)
        this.#bytes += bytesRead
      }
      return true
    } finally {
      await source.close()
    }
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten
}

/** Deletes a file that may be gone already. */
export const deleteExportFile = (folder: string, fileName: string): Promise<void> =>
  rm(join(folder, fileName), { force: true })

import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises'

/** Where a download goes. It can be told how much it has already, and hashes all of it. */
export interface ExportSink {
  readonly bytes: number
  write(chunk: Uint8Array): Promise<void>
  /** Forgets what it has; false where it can't: it has been passed on. */
  restart(): Promise<boolean>
  /** The SHA-256 of all, hexadecimal. */
  digest(): string
  /** All is there and right. */
  finish(): Promise<void>
  close(): Promise<void>
}

/** What is kept beside a download, so that the same command takes it up again. */
export interface ExportState {
  readonly exportId: string
  /** What was asked for; another request begins anew. */
  readonly request: string
}

const partOf = (path: string): string => `${path}.part`
const stateOf = (path: string): string => `${path}.part.json`

/** What an interrupted run of the same request has left, or null. */
export async function readState(path: string, request: string): Promise<ExportState | null> {
  const text = await readFile(stateOf(path), 'utf8').catch(() => null)
  try {
    const state = text === null ? null : (JSON.parse(text) as Partial<ExportState>)
    return typeof state?.exportId === 'string' && state.request === request
      ? { exportId: state.exportId, request }
      : null
  } catch {
    return null
  }
}

/** Notes which export this download is of; what there was of another one is gone. */
export async function writeState(path: string, state: ExportState): Promise<void> {
  await rm(partOf(path), { force: true })
  await writeFile(stateOf(path), `${JSON.stringify(state)}\n`, { mode: 0o600 })
}

/** A file that gets its name when it is whole; until then it is `<path>.part`, which a later run goes on with. */
export async function fileSink(path: string): Promise<ExportSink> {
  const handle = await open(partOf(path), 'a+', 0o600)
  let hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return {
    get bytes() {
      return bytes
    },
    async write(chunk) {
      await appendAll(handle, chunk)
      hash.update(chunk)
      bytes += chunk.length
    },
    async restart() {
      await handle.truncate(0)
      hash = createHash('sha256')
      bytes = 0
      return true
    },
    digest: () => hash.copy().digest('hex'),
    async finish() {
      await handle.sync()
      await handle.close()
      await rename(partOf(path), path)
      await rm(stateOf(path), { force: true })
    },
    close: () => handle.close(),
  }
}

async function appendAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length;) at += (await handle.write(chunk, at)).bytesWritten
}

/** Standard output, at the pace of whoever reads it. */
export function streamSink(stream: NodeJS.WriteStream): ExportSink {
  const hash: Hash = createHash('sha256')
  let bytes = 0
  return {
    get bytes() {
      return bytes
    },
    async write(chunk) {
      hash.update(chunk)
      bytes += chunk.length
      if (!stream.write(chunk)) await once(stream, 'drain')
    },
    restart: () => Promise.resolve(bytes === 0),
    digest: () => hash.copy().digest('hex'),
    finish: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}

import { readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

/** What a running server says of itself in its data directory. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  readonly ready: boolean
}

/** Reads postmaster.pid, or undefined where there is none: the server is not running, or has not come that far. */
export function readPostmaster(directory: string): Postmaster | undefined {
  let lines: string[]
  try {
    lines = readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const pid = Number(lines[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3] ?? ''), ready: lines[7]?.trim() === 'ready' }
}

/** True while a process of that number exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * True where the process is a server of exactly this directory. After a crash of the machine the number in
 * postmaster.pid may belong to anything; a server keeps its data directory as its working directory.
 */
export function servesDirectory(pid: number, directory: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(directory)
  } catch {
    return false
  }
}

/** The server of a directory, if it runs: a server that was killed leaves its file behind. */
export function runningPostmaster(directory: string): Postmaster | undefined {
  const found = readPostmaster(directory)
  return found !== undefined && isAlive(found.pid) && servesDirectory(found.pid, directory) ? found : undefined
}

/** The port of the last start, which PostgreSQL keeps in postmaster.opts. */
export function lastPort(directory: string): number | undefined {
  try {
    const found = /"port=(\d+)"/.exec(readFileSync(join(directory, 'postmaster.opts'), 'utf8'))
    return found === null ? undefined : Number(found[1])
  } catch {
    return undefined
  }
}

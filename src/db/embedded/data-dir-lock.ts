import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive } from './postmaster-pid.js'

const fileName = 'hyrelog.pid'

interface Holder {
  readonly pid: number
  /** Start of the process in clock ticks since boot: tells a process from a later one of the same number. */
  readonly startedTicks: string
}

/** Another HyreLog runs on this data directory. */
export class DataDirInUseError extends Error {
  override readonly name = 'DataDirInUseError'
  constructor(
    readonly dataDir: string,
    readonly pid: number,
  ) {
    super(
      `HyreLog is already running on ${dataDir} (process ${pid}). Stop it first, or give this one a DATA_DIR and a PORT of its own.`,
    )
  }
}

/** Field 22 of /proc/<pid>/stat; empty where the system has no such file, which then never matches. */
function startedTicks(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the program's name, may hold spaces and parentheses.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    const [pid, ticks] = readFileSync(path, 'utf8').split('\n')
    return { pid: Number(pid), startedTicks: ticks ?? '' }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const holds = (holder: Holder): boolean =>
  Number.isSafeInteger(holder.pid) &&
  holder.pid > 0 &&
  isAlive(holder.pid) &&
  holder.startedTicks === startedTicks(holder.pid)

/** The process that runs on this data directory, or undefined where none does. */
export function holderOf(dataDir: string): number | undefined {
  const holder = readHolder(join(dataDir, fileName))
  return holder !== undefined && holds(holder) ? holder.pid : undefined
}

/**
 * Takes the data directory for this process; the answer gives it back. What a crashed process left behind is ignored.
 * Throws {@link DataDirInUseError}.
 */
export function lockDataDir(dataDir: string): () => void {
  const path = join(dataDir, fileName)
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, `${process.pid}\n${startedTicks(process.pid)}\n`, { flag: 'wx', mode: 0o644 })
      return () => rmSync(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 2) throw error
    }
    const holder = readHolder(path)
    if (holder !== undefined && holds(holder)) throw new DataDirInUseError(dataDir, holder.pid)
    if (holder !== undefined) removeStale(path)
  }
}

/** Takes a stale file away, and only that: another start may have replaced it since it was read. */
function removeStale(path: string): void {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
    const moved = readHolder(aside)
    if (moved !== undefined && holds(moved)) linkSync(aside, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

import { createHash, randomUUID } from 'node:crypto'
import { open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { ifThere, makeFolder, systemCode } from './durable-file.js'

/** A lock is held for a few renames. One that stays longer is of a process that died. */
const abandonedAfterMs = 10_000
const pollMs = 5

/**
 * Runs `work` while nobody else, in this process or another one on the same folder, holds the lock of this key. A lock
 * that was seen unchanged for ten seconds is taken to be left behind: by our own clock, as a network drive's may differ.
 */
export async function withFileLock<T>(folder: string, key: string, work: () => Promise<T>): Promise<T> {
  await makeFolder(folder)
  const path = join(folder, createHash('sha256').update(key).digest('hex'))
  await takeLock(folder, path)
  try {
    return await work()
  } finally {
    await rm(path, { force: true })
  }
}

async function takeLock(folder: string, path: string): Promise<void> {
  let seen: { readonly id: string; readonly sinceMs: number } | undefined
  for (;;) {
    if (await tryLock(path)) return
    const found = await ifThere(stat(path, { bigint: true }))
    if (found === null) continue
    const id = `${found.ino}-${found.mtimeNs}`
    if (seen?.id !== id) seen = { id, sinceMs: performance.now() }
    else if (performance.now() - seen.sinceMs > abandonedAfterMs) {
      // By a rename only one of those who wait removes it.
      const aside = join(folder, randomUUID())
      if ((await ifThere(rename(path, aside).then(() => true))) !== null) await rm(aside, { force: true })
      seen = undefined
    }
    await wait(pollMs)
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

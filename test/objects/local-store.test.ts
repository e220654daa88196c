import { readdirSync, statSync } from 'node:fs'
import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LocalObjectStore } from '../../src/objects/local/local-store.js'
import { makeDataFolder } from '../harness/data-folder.js'
import { settableClock } from '../harness/settable-clock.js'
import { bodyOf, textOf } from './bodies.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const hourMs = 3_600_000

async function begin(restoreDelayMs: number): Promise<Subject> {
  const folder = await makeDataFolder()
  const clock = settableClock()
  return {
    store: new LocalObjectStore({ folder: folder.path, clock, restoreDelayMs }),
    clock,
    partBytes: 1024 * 1024,
    finishRestores: async () => clock.advance(restoreDelayMs),
    writtenBytes: () => {
      const incoming = join(folder.path, 'incoming')
      return readdirSync(incoming).reduce((sum, name) => sum + statSync(join(incoming, name)).size, 0)
    },
    stop: folder.remove,
  }
}

describe('a folder whose restores are done at once', () => {
  keepsItsPromises(() => begin(0), { isServer: false })
})
describe('a folder whose restores take their time', () => {
  keepsItsPromises(() => begin(12 * hourMs), { isServer: false })
})

const put = { contentType: 'application/octet-stream', precondition: 'new' } as const

async function inFolder(act: (path: string, store: LocalObjectStore) => Promise<void>): Promise<void> {
  const folder = await makeDataFolder()
  try {
    await act(folder.path, new LocalObjectStore({ folder: folder.path, clock: settableClock() }))
  } finally {
    await folder.remove()
  }
}

describe('what only a folder does', () => {
  it('keeps cold objects in cold/ and the others in warm/, each in one place', () =>
    inFolder(async (path, store) => {
      const files = async (place: string): Promise<string[]> => readdir(join(path, place)).catch(() => [])
      const head = await store.put('a', bodyOf('x'), put)
      expect([await files('warm'), await files('cold'), await files('incoming')]).toEqual([['a'], [], []])
      await store.moveToCold('a')
      expect([await files('warm'), await files('cold')]).toEqual([[], ['a']])
      await store.put('a', bodyOf('y'), { ...put, precondition: head })
      expect([await files('warm'), await files('cold')]).toEqual([['a'], []])
    }))

  it('lets one of several processes on one folder win', () =>
    inFolder(async (path, store) => {
      const stores = Array.from({ length: 5 }, () => new LocalObjectStore({ folder: path, clock: settableClock() }))
      const head = await store.put('a', bodyOf('first'), put)
      const puts = stores.map((one, i) => one.put('a', bodyOf(String(i)), { ...put, precondition: head }))
      const outcomes = await Promise.allSettled(puts)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(outcomes.filter((one) => one.status === 'rejected' && one.reason.code === 'OBJECT_CHANGED')).toHaveLength(
        4,
      )
      expect(await textOf(await store.get('a'))).toBe(
        String(outcomes.findIndex(({ status }) => status === 'fulfilled')),
      )
    }))

  it('remembers a restore after a restart', () =>
    inFolder(async (path, store) => {
      await store.put('a', bodyOf('x'), put)
      await store.moveToCold('a')
      const { restoredUntil } = await store.requestRestore('a', { days: 1, tier: 'STANDARD' })
      const another = new LocalObjectStore({ folder: path, clock: settableClock() })
      expect(await another.head('a')).toMatchObject({ objectClass: 'RESTORED', restoredUntil })
    }))

  it('clears away what a process that died had begun, and nothing that is on its way', () =>
    inFolder(async (path, store) => {
      const incoming = join(path, 'incoming')
      await mkdir(incoming)
      for (const name of ['old', 'young']) await writeFile(join(incoming, name), 'half')
      const before = new Date(Date.now() - 25 * hourMs)
      await utimes(join(incoming, 'old'), before, before)
      await store.put('a', bodyOf('x'), put)
      expect(await readdir(incoming)).toEqual(['young'])
    }))

  it('says OBJECT_STORE_UNAVAILABLE and no path where the folder can’t be used', () =>
    inFolder(async (path) => {
      await symlink('/dev/null', join(path, 'file'))
      const store = new LocalObjectStore({ folder: join(path, 'file'), clock: settableClock() })
      const error: unknown = await store.put('a', bodyOf('x'), put).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'OBJECT_STORE_UNAVAILABLE' })
      expect((error as Error).message).not.toContain(path)
    }))
})

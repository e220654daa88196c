import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { LocalObjectStore } from '../../src/objects/local/local-store.js'
import { makeDataFolder } from '../harness/data-folder.js'
import { settableClock } from '../harness/settable-clock.js'
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

describe('a folder whose restores are done at once', () => keepsItsPromises(() => begin(0)))
describe('a folder whose restores take their time', () => keepsItsPromises(() => begin(12 * hourMs)))

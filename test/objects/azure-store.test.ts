import { describe, expect, it } from 'vitest'
import { azureContainer, type Patience } from '../../src/objects/azure/azure-client.js'
import { AzureObjectStore } from '../../src/objects/azure/azure-store.js'
import { ObjectColdError, ObjectLockedError } from '../../src/objects/object-errors.js'
import { AzureFake, FakeContainer } from '../harness/servers/azure-fake.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'
import { bodyOf, textOf } from './bodies.js'
import { keepsItsPromises, type Subject } from './conformance.js'

const MIB = 1024 * 1024
const partBytes = 2 * MIB
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const put = { contentType: 'application/octet-stream', precondition: 'new' } as const

async function begin(versioned: boolean): Promise<Subject> {
  const fake = await AzureFake.start()
  const clock = settableClock()
  fake.containers.set('cold', new FakeContainer(clock, versioned))
  const at = async (url: string, container = 'cold', patience: Partial<Patience> = {}): Promise<AzureObjectStore> =>
    new AzureObjectStore({
      container: await azureContainer({ container, connectionString: fake.connectionString(url), patience }),
      clock,
      patience,
      sizes: { partBytes, listPage: 3 },
    })
  return {
    store: await at(fake.url),
    clock,
    partBytes,
    finishRestores: async () => clock.advance(15 * hourMs),
    server: {
      url: fake.url,
      at: (url) => at(url),
      impatientAt: (url) => at(url, 'cold', { requestMs: 1_000, attemptsMax: 2 }),
      missing: await at(fake.url, 'nobody-made-this'),
    },
    stop: () => fake.stop(),
  }
}

describe('Azure as documented', () => {
  keepsItsPromises(() => begin(false), { streamsBig: false })
})
describe('Azure with versions', () => {
  keepsItsPromises(() => begin(true), { streamsBig: false })
})

interface Stage {
  readonly store: AzureObjectStore
  readonly container: FakeContainer
  readonly clock: SettableClock
}

/** A store before a fake of its own. */
async function onStage(versioned: boolean, act: (stage: Stage) => Promise<void>): Promise<void> {
  const fake = await AzureFake.start()
  const clock = settableClock()
  const container = new FakeContainer(clock, versioned)
  fake.containers.set('cold', container)
  try {
    const client = await azureContainer({ container: 'cold', connectionString: fake.connectionString() })
    await act({ store: new AzureObjectStore({ container: client, clock }), container, clock })
  } finally {
    await fake.stop()
  }
}

describe('what only Azure does', () => {
  it('is RESTORING for the hours that a rehydration takes, less with priority', () =>
    onStage(false, async ({ store, clock }) => {
      for (const [tier, hours] of [
        ['STANDARD', 15],
        ['EXPEDITED', 1],
      ] as const) {
        await store.put(`a/${tier}`, bodyOf(tier), put)
        await store.moveToCold(`a/${tier}`)
        const asked = await store.requestRestore(`a/${tier}`, { days: 2, tier })
        expect(asked).toMatchObject({ objectClass: 'RESTORING', restoredUntil: null })
        clock.advance((hours - 0.5) * hourMs)
        await expect(store.get(`a/${tier}`)).rejects.toThrow(ObjectColdError)
        clock.advance(hourMs)
        expect(await store.head(`a/${tier}`)).toMatchObject({ objectClass: 'RESTORED' })
        expect(await textOf(await store.get(`a/${tier}`))).toBe(tier)
      }
    }))

  it('moves a blob whose time is up back to the archive', () =>
    onStage(false, async ({ store, container, clock }) => {
      await store.put('a', bodyOf('x'), put)
      await store.moveToCold('a')
      await store.requestRestore('a', { days: 1, tier: 'EXPEDITED' })
      clock.advance(hourMs)
      expect(container.current('a')?.tier).toBe('Hot')
      clock.advance(dayMs)
      expect((await store.head('a'))?.objectClass).toBe('COLD')
      expect(container.current('a')?.tier).toBe('Hot')
      await store.moveToCold('a')
      expect(container.current('a')).toMatchObject({ tier: 'Archive', tags: {} })
    }))

  it('recognises what the account’s own rule archived, and keeps others’ tags', () =>
    onStage(false, async ({ store, container, clock }) => {
      await store.put('a', bodyOf('x'), put)
      container.current('a')!.tier = 'Archive'
      container.current('a')!.tags = { owner: 'audit' }
      expect((await store.head('a'))?.objectClass).toBe('COLD')
      await store.requestRestore('a', { days: 1, tier: 'STANDARD' })
      clock.advance(15 * hourMs)
      expect((await store.head('a'))?.objectClass).toBe('RESTORED')
      expect(container.current('a')?.tags).toMatchObject({ owner: 'audit' })
    }))

  it('neither deletes nor replaces under an immutability policy or a legal hold (OBJECT_LOCKED)', () =>
    onStage(false, async ({ store, container, clock }) => {
      container.immutableUntil = new Date(clock.now().getTime() + dayMs)
      const head = await store.put('a', bodyOf('kept'), put)
      await expect(store.delete('a')).rejects.toThrow(ObjectLockedError)
      await expect(store.put('a', bodyOf('x'), { ...put, precondition: head })).rejects.toThrow(ObjectLockedError)
      clock.advance(2 * dayMs)
      container.current('a')!.legalHold = true
      await expect(store.delete('a')).rejects.toThrow(ObjectLockedError)
      expect(await textOf(await store.get('a'))).toBe('kept')
      container.current('a')!.legalHold = false
      await store.delete('a')
      expect(container.blobs.size).toBe(0)
    }))

  it('leaves no former version of what was replaced or deleted', () =>
    onStage(true, async ({ store, container }) => {
      const head = await store.put('a', bodyOf('with a name'), put)
      await store.put('a', bodyOf('without'), { ...put, precondition: head })
      expect(container.blobs.get('a')?.map(({ bytes }) => bytes.toString())).toEqual(['without'])
      await store.put('ab', bodyOf('another'), put)
      await store.delete('a')
      const left = [...container.blobs].flatMap(([name, blobs]) =>
        blobs.map(({ bytes }) => `${name} ${bytes.toString()}`),
      )
      expect(left.filter((one) => one !== 'a ')).toEqual(['ab another'])
    }))
})

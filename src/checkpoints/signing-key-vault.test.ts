import { createSecretKey } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seedOf } from '../ledger/signing-key.js'
import { SealBrokenError } from '../sealing/secret-box.js'
import { SigningKeyVault } from './signing-key-vault.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hyrelog-keys-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const vault = (fill = 1): SigningKeyVault =>
  new SigningKeyVault({
    directory,
    masterKeys: new Map([
      ['EU', createSecretKey(Buffer.alloc(32, fill))],
      ['US', createSecretKey(Buffer.alloc(32, fill))],
    ]),
  })
const seedsIn = async (own: SigningKeyVault): Promise<string[]> =>
  (await own.load('EU')).map((key) => seedOf(key).toString('hex'))

describe('generated signing keys', () => {
  it('are made once, whoever makes them', async () => {
    const vaults = Array.from({ length: 8 }, () => vault())
    await Promise.all(vaults.map((own) => own.make('EU', 1)))
    const seeds = await Promise.all(vaults.map(seedsIn))
    expect(new Set(seeds.flat()).size).toBe(1)
    expect(seeds.every((own) => own.length === 1)).toBe(true)
  })

  it('keep the order in which they were made, and never give way to another', async () => {
    const own = vault()
    await own.make('EU', 1)
    const [first] = await seedsIn(own)
    await own.make('EU', 2)
    await own.make('EU', 1)
    const seeds = await seedsIn(vault())
    expect(seeds[0]).toBe(first)
    expect(seeds).toHaveLength(2)
    expect(seeds[1]).not.toBe(first)
  })

  it('lie wrapped, for our own eyes', async () => {
    const own = vault()
    await own.make('EU', 1)
    const [seed] = await seedsIn(own)
    const path = join(directory, 'eu', 'signing-key-1.key')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readFile(path)).toString('hex')).not.toContain(seed)
    expect(await readdir(join(directory, 'eu'))).toEqual(['signing-key-1.key'])
  })

  it('open neither with another master key nor as the key of another region or number', async () => {
    await vault().make('EU', 1)
    await expect(vault(2).load('EU')).rejects.toBeInstanceOf(SealBrokenError)
    const sealed = await readFile(join(directory, 'eu', 'signing-key-1.key'))
    await writeFile(join(directory, 'eu', 'signing-key-2.key'), sealed)
    await expect(vault().load('EU')).rejects.toBeInstanceOf(SealBrokenError)
    await vault().make('US', 1)
    await writeFile(join(directory, 'us', 'signing-key-1.key'), sealed)
    await expect(vault().load('US')).rejects.toBeInstanceOf(SealBrokenError)
  })

  it('are none where there is no master key', async () => {
    expect(vault().serves('AU')).toBe(false)
    expect(await vault().load('AU')).toEqual([])
  })
})

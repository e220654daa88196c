import { expect, it } from 'vitest'
import { WORKSPACE } from '../../test/ledger/chain-builder.js'
import type { ErasureMember } from './body-rules.js'
import { fromBytes, sha256 } from './crypto.js'
import { TombstoneSet, toBytes } from './index.js'
import { uuidLatin1 } from './link.js'
import { PendingErasures } from './pending-erasures.js'

const COUNT = 40_000
const tombstones = Array.from({ length: COUNT }, (_, i) => sha256(`${i}`))
const root = fromBytes(new TombstoneSet(tombstones.map(toBytes)).root())
const member: ErasureMember = { disclosures: COUNT, events: COUNT / 4, mode: 'RETENTION', request: '', root }

const claimAll = (claims: readonly string[]): PendingErasures => {
  const pending = new PendingErasures({ whole: true, given: false })
  for (const [i, tombstone] of claims.entries()) {
    const sequence = 1 + Math.floor(i / 4)
    pending.claim({ tombstone, sequence, eventId: `${sequence}`, erasure: 20_000, index: null, proof: null })
  }
  return pending
}

it('settles an erasure of many tombstones, and then keeps nothing of it', () => {
  const pending = claimAll(tombstones)
  expect(pending.namedBy(20_000)).toMatchObject({ sequence: 1 })
  expect(pending.settle(uuidLatin1(WORKSPACE), 20_000, member, null)).toBeNull()
  expect(pending.namedBy(20_000)).toBeNull()
  expect(pending.unsettled()).toEqual([])
})

it('finds one wrong tombstone, and one that comes twice, among many', () => {
  const settle = (claims: string[]): string | null =>
    claimAll(claims).settle(uuidLatin1(WORKSPACE), 20_000, member, null)
  expect(settle(tombstones.with(31_000, sha256('another')))).toContain('not those')
  expect(settle(tombstones.with(31_000, tombstones[7]!))).toContain('not those')
})

import { expect, it } from 'vitest'
import { newUuid } from '../kernel/ids.js'
import { IdSet } from './id-set.js'

it('takes every id once, also while it grows', () => {
  const set = new IdSet()
  const ids = Array.from({ length: 50_000 }, (_, i) => newUuid(1_700_000_000_000 + i))
  expect(ids.every((id) => set.add(id))).toBe(true)
  expect(ids.some((id) => set.add(id))).toBe(false)
})

it('knows ids that differ in one bit, and the nil id', () => {
  const set = new IdSet()
  const ids = ['00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000001']
  ids.push('80000000-0000-0000-0000-000000000000', '00000000-0000-0001-0000-000000000000')
  for (const id of ids) expect(set.add(id)).toBe(true)
  for (const id of ids) expect(set.add(id)).toBe(false)
})

it('takes in no more than its maximum, and still knows those', () => {
  const set = new IdSet(10)
  const ids = Array.from({ length: 11 }, (_, i) => newUuid(1_700_000_000_000 + i))
  for (const id of ids) expect(set.add(id)).toBe(true)
  expect(set.isFull).toBe(true)
  expect(ids.map((id) => set.add(id))).toEqual([...Array.from({ length: 10 }, () => false), true])
})

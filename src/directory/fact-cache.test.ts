import { beforeEach, describe, expect, it } from 'vitest'
import { DatabaseError } from '../db/database-error.js'
import { FACT_AGE_MS_MAX, FACT_AGE_UNREACHABLE_MS_MAX, FactCache, FactTable } from './fact-cache.js'

interface Fact {
  readonly value: number
}

let nowMs: number
let cache: FactCache
let table: FactTable<Fact>
/** How the control database answers, and how often it was asked. */
let answer: () => Promise<Fact | null>
let asked: number

const read = (name = 'one'): Promise<Fact | null> =>
  cache.read(table, name, async () => {
    asked++
    const value = await answer()
    return value && { value, companyId: 'acme' }
  })
const dead = (): Promise<never> => Promise.reject(new DatabaseError('CONTROL', 'unreachable', 'refused'))

beforeEach(() => {
  nowMs = 1_800_000_000_000
  cache = new FactCache({ now: () => new Date(nowMs) })
  table = new FactTable()
  asked = 0
  answer = () => Promise.resolve({ value: asked })
})

describe('while the control database answers', () => {
  it('a fact is asked for once in 30 s', async () => {
    expect(await read()).toEqual({ value: 1 })
    nowMs += FACT_AGE_MS_MAX
    expect(await read()).toEqual({ value: 1 })
    nowMs += 1
    expect(await read()).toEqual({ value: 2 })
  })

  it('many who ask at once cost one question', async () => {
    await Promise.all(Array.from({ length: 100 }, () => read()))
    expect(asked).toBe(1)
  })

  it('a change of the company drops its facts, of another company does not', async () => {
    await read()
    cache.changed('other')
    await read()
    expect(asked).toBe(1)
    cache.changed('acme')
    expect(await read()).toEqual({ value: 2 })
  })

  it('what did not exist is asked for again after any change', async () => {
    answer = () => Promise.resolve(null)
    expect(await read()).toBeNull()
    expect(await read()).toBeNull()
    expect(asked).toBe(1)
    cache.changed('other')
    await read()
    expect(asked).toBe(2)
  })

  it('a fact read while it changed is not kept, and nobody joins that question', async () => {
    const { promise, resolve } = Promise.withResolvers<Fact>()
    answer = () => promise
    const early = read()
    cache.changed('acme')
    answer = () => Promise.resolve({ value: 99 })
    const late = read()
    resolve({ value: 1 })
    expect(await early).toEqual({ value: 1 })
    expect(await late).toEqual({ value: 99 })
    expect(await read()).toEqual({ value: 99 })
  })

  it('a clock set back makes facts old, not young', async () => {
    await read()
    nowMs -= 3_600_000
    expect(await read()).toEqual({ value: 2 })
  })

  it('trying names at random pushes no known fact out', async () => {
    await read()
    answer = () => Promise.resolve(null)
    for (let i = 0; i < 20_000; i++) await read(`random ${i}`)
    asked = 0
    expect(await read()).toEqual({ value: 1 })
    expect(asked).toBe(0)
  })

  it('a failure that is not an outage is told, not hidden behind an old answer', async () => {
    await read()
    nowMs += FACT_AGE_MS_MAX + 1
    answer = () => Promise.reject(new DatabaseError('CONTROL', 'denied', 'denied'))
    await expect(read()).rejects.toMatchObject({ kind: 'denied' })
  })
})

describe('while the control database is dead', () => {
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  it('a fact answers for ten minutes and no longer', async () => {
    await read()
    answer = dead
    nowMs += FACT_AGE_UNREACHABLE_MS_MAX
    expect(await read()).toEqual({ value: 1 })
    nowMs += 1
    await expect(read()).rejects.toMatchObject({ code: 'REGION_UNAVAILABLE', details: { regions: ['CONTROL'] } })
  })

  it('what is not known, or was known not to be, is REGION_UNAVAILABLE and never "no"', async () => {
    answer = () => Promise.resolve(null)
    expect(await read()).toBeNull()
    nowMs += FACT_AGE_MS_MAX + 1
    answer = dead
    await expect(read()).rejects.toMatchObject({ code: 'REGION_UNAVAILABLE' })
    await expect(read('another')).rejects.toMatchObject({ code: 'REGION_UNAVAILABLE' })
  })

  it('is asked once a second at most, and nobody with an answer waits for it', async () => {
    await read()
    answer = dead
    nowMs += FACT_AGE_MS_MAX + 1
    await read()
    asked = 0
    for (let i = 0; i < 1_000; i++) await read()
    expect(asked).toBe(0)
    nowMs += 1_000
    answer = () => new Promise(() => undefined)
    for (let i = 0; i < 1_000; i++) expect(await read()).toEqual({ value: 1 })
    expect(asked).toBe(1)
    await expect(read('another')).rejects.toMatchObject({ code: 'REGION_UNAVAILABLE' })
    expect(asked).toBe(1)
  })

  it('hangs: who has an answer waits a moment and no longer, and a late answer is taken', async () => {
    await read()
    nowMs += FACT_AGE_MS_MAX + 1
    const { promise, resolve } = Promise.withResolvers<Fact>()
    answer = () => promise
    expect(await read()).toEqual({ value: 1 })
    expect(await read()).toEqual({ value: 1 })
    expect(asked).toBe(2)
    resolve({ value: 7 })
    await settle()
    expect(await read()).toEqual({ value: 7 })
    expect(asked).toBe(2)
  })

  it('a dropped fact is not used, however young', async () => {
    await read()
    answer = dead
    cache.changed('acme')
    await expect(read()).rejects.toMatchObject({ code: 'REGION_UNAVAILABLE' })
  })

  it('is asked again when it is heard of, and nothing from before counts', async () => {
    await read()
    answer = dead
    nowMs += FACT_AGE_MS_MAX + 1
    await read()
    answer = () => Promise.resolve({ value: 42 })
    cache.reset()
    expect(await read()).toEqual({ value: 42 })
  })

  it('is found alive by itself', async () => {
    await read()
    answer = dead
    nowMs += FACT_AGE_MS_MAX + 1
    await read()
    answer = () => Promise.resolve({ value: 42 })
    nowMs += 1_000
    expect(await read()).toEqual({ value: 1 })
    await settle()
    expect(await read()).toEqual({ value: 42 })
  })
})

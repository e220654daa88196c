import fc from 'fast-check'
import { expect, it } from 'vitest'
import { apiFaults, controlFaults, planFaults, plannedMs, regionFaults } from './fault-plan.js'

it('is the same for the same seed, and another for another', () => {
  expect(planFaults({ seed: 'a', faults: 50 })).toEqual(planFaults({ seed: 'a', faults: 50 }))
  expect(planFaults({ seed: 'a', faults: 50 })).not.toEqual(planFaults({ seed: 'b', faults: 50 }))
})

it('has every kind of fault in twenty, whatever the seed, and none that was left out', () => {
  const all = [...regionFaults, ...apiFaults, ...controlFaults]
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...all), (seed, without) => {
      const kinds = new Set(planFaults({ seed, faults: 20 }).map(({ kind }) => kind))
      expect([...kinds].sort()).toEqual([...all].sort())
      expect(planFaults({ seed, faults: 60, without: [without] }).some(({ kind }) => kind === without)).toBe(false)
    }),
  )
})

it('is bounded: every fault is over in seconds, and the next begins soon', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 100 }), (seed, faults) => {
      const plan = planFaults({ seed, faults })
      expect(plan).toHaveLength(faults)
      for (const { durationMs } of plan) expect(durationMs).toBeGreaterThan(0)
      expect(plannedMs(plan)).toBeLessThanOrEqual(faults * 3_500 + 5_000)
    }),
  )
})

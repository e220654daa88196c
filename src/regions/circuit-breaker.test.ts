import { expect, it } from 'vitest'
import { CircuitBreaker } from './circuit-breaker.js'

it('lets nothing through after a failure until a probe, one at a time, was answered', () => {
  let nowMs = 0
  const breaker = new CircuitBreaker(1000, () => nowMs)
  expect(breaker.isClosed).toBe(true)
  expect(breaker.admitsProbe()).toBe(false)
  breaker.failed()
  expect(breaker.isClosed).toBe(false)
  nowMs = 999
  expect(breaker.admitsProbe()).toBe(false)
  nowMs = 1000
  expect(breaker.admitsProbe()).toBe(true)
  expect(breaker.admitsProbe()).toBe(false)
  expect(breaker.isClosed).toBe(false)
  breaker.failed()
  nowMs = 1999
  expect(breaker.admitsProbe()).toBe(false)
  nowMs = 2000
  expect(breaker.admitsProbe()).toBe(true)
  breaker.answered()
  expect(breaker.isClosed).toBe(true)
  expect(breaker.admitsProbe()).toBe(false)
})

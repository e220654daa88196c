import { expect, it } from 'vitest'
import { CircuitBreaker } from './circuit-breaker.js'

it('lets nothing through after a failure, then one call, whose outcome decides', () => {
  let nowMs = 0
  const breaker = new CircuitBreaker(1000, () => nowMs)
  expect(breaker.admits()).toBe(true)
  breaker.failed()
  expect(breaker.admits()).toBe(false)
  nowMs = 999
  expect(breaker.admits()).toBe(false)
  nowMs = 1000
  expect(breaker.admits()).toBe(true)
  expect(breaker.admits()).toBe(false)
  breaker.failed()
  nowMs = 1999
  expect(breaker.admits()).toBe(false)
  nowMs = 2000
  expect(breaker.admits()).toBe(true)
  breaker.answered()
  expect(breaker.admits()).toBe(true)
  expect(breaker.admits()).toBe(true)
})

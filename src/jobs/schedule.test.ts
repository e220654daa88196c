import { afterEach, describe, expect, it, vi } from 'vitest'
import { isSchedule, parseSchedule } from './schedule.js'

afterEach(() => vi.unstubAllEnvs())

const latest = (pattern: string, at: string) => parseSchedule(pattern).latestSlot(new Date(at))?.toISOString()
const next = (pattern: string, after: string) => parseSchedule(pattern).nextSlot(new Date(after))?.toISOString()

describe('a schedule', () => {
  it('has a slot from its very moment on, and not a millisecond before', () => {
    expect(latest('*/5 * * * *', '2026-01-01T00:04:59.999Z')).toBe('2026-01-01T00:00:00.000Z')
    expect(latest('*/5 * * * *', '2026-01-01T00:05:00.000Z')).toBe('2026-01-01T00:05:00.000Z')
    expect(latest('*/5 * * * *', '2026-01-01T00:09:59.999Z')).toBe('2026-01-01T00:05:00.000Z')
  })

  it('has a next slot that is later than the moment it is asked for', () => {
    expect(next('*/5 * * * *', '2026-01-01T00:05:00.000Z')).toBe('2026-01-01T00:10:00.000Z')
    expect(next('*/5 * * * *', '2026-01-01T00:04:59.999Z')).toBe('2026-01-01T00:05:00.000Z')
  })

  it('knows seconds, and years without a February 29th', () => {
    expect(latest('* * * * * *', '2026-01-01T00:00:07.500Z')).toBe('2026-01-01T00:00:07.000Z')
    expect(latest('0 3 29 2 *', '2026-01-01T00:00:00.000Z')).toBe('2024-02-29T03:00:00.000Z')
  })

  it('is read in UTC wherever the process runs', () => {
    // Where 01:00 UTC is ten in the morning, and where clocks are moved on Sundays at that hour.
    for (const zone of ['Asia/Tokyo', 'Europe/Berlin']) {
      vi.stubEnv('TZ', zone)
      expect(next('0 1 29 3 *', '2026-03-28T23:00:00.000Z')).toBe('2026-03-29T01:00:00.000Z')
      expect(next('30 0 * * *', '2026-10-25T00:00:00.000Z')).toBe('2026-10-25T00:30:00.000Z')
    }
  })

  it('refuses what is no pattern, and what never comes', () => {
    for (const text of ['', 'every day', '61 * * * *', '0 0 30 2 *', '2020-01-01T00:00:00']) {
      expect(isSchedule(text), text).toBe(false)
      expect(() => parseSchedule(text)).toThrow(TypeError)
    }
  })
})

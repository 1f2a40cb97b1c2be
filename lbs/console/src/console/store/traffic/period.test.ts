import { describe, expect, it } from 'vitest'
import { addDays, beside, dayIn, hoursBetween, periodOf, readDay } from './period'

describe('periods', () => {
  it('begin weeks on Monday, over the end of a year', () => {
    expect(periodOf('week', '2027-01-03')).toEqual({ grain: 'week', first: '2026-12-28', after: '2027-01-04' })
    expect(periodOf('week', '2026-12-28').first).toBe('2026-12-28')
  })
  it('have months of every length', () => {
    expect(periodOf('month', '2028-02-29')).toEqual({ grain: 'month', first: '2028-02-01', after: '2028-03-01' })
    expect(beside(periodOf('month', '2026-03-31'), -1).first).toBe('2026-02-01')
    expect(beside(periodOf('month', '2026-12-05'), 1).first).toBe('2027-01-01')
  })
  it('lie side by side without a gap', () => {
    for (const grain of ['day', 'week', 'month'] as const) {
      const here = periodOf(grain, '2026-03-29')
      expect(beside(here, -1).after).toBe(here.first)
      expect(beside(here, 1).first).toBe(here.after)
    }
  })
})

describe('days', () => {
  it('are counted across a change of the clock', () => {
    expect(addDays('2026-03-28', 2)).toBe('2026-03-30')
  })
  it('are those of the zone', () => {
    const now = new Date('2026-06-01T22:30:00Z')
    expect(dayIn('Europe/Helsinki', now)).toBe('2026-06-02')
    expect(dayIn('America/New_York', now)).toBe('2026-06-01')
  })
  it('are read only if there is such a day', () => {
    expect(readDay('2026-02-30')).toBeNull()
    expect(readDay('yesterday')).toBeNull()
    expect(readDay(null)).toBeNull()
    expect(readDay('2028-02-29')).toBe('2028-02-29')
  })
  it('have 23 or 25 hours where the clock changes', () => {
    expect(hoursBetween('2026-03-29T00:00:00+02:00', '2026-03-30T00:00:00+03:00')).toBe(23)
    expect(hoursBetween('2026-10-25T00:00:00+03:00', '2026-10-26T00:00:00+02:00')).toBe(25)
  })
})

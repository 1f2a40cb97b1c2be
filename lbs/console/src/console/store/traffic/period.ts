// Periods of a store's own calendar, as days written YYYY-MM-DD. Pure: a day has no time and no zone here.

export const TABS = ['today', 'day', 'week', 'month'] as const
export type Tab = (typeof TABS)[number]
export type Grain = Exclude<Tab, 'today'>

export interface Period {
  grain: Grain
  first: string
  /** The day after the last one. */
  after: string
}

const DAY_MS = 86_400_000
const DAYS_OF_WEEK = 7

const number = (day: string) => Date.parse(`${day}T00:00:00Z`)
const text = (ms: number) => new Date(ms).toISOString().slice(0, 10)

export function addDays(day: string, days: number): string {
  return text(number(day) + days * DAY_MS)
}

function addMonths(day: string, months: number): string {
  const [year = 0, month = 1] = day.split('-').map(Number)
  return text(Date.UTC(year, month - 1 + months, 1))
}

/** The period of a kind that a day lies in: weeks begin on Monday. */
export function periodOf(grain: Grain, day: string): Period {
  switch (grain) {
    case 'day':
      return { grain, first: day, after: addDays(day, 1) }
    case 'week': {
      const first = addDays(day, -((new Date(number(day)).getUTCDay() + 6) % DAYS_OF_WEEK))
      return { grain, first, after: addDays(first, DAYS_OF_WEEK) }
    }
    case 'month':
      return { grain, first: addMonths(day, 0), after: addMonths(day, 1) }
  }
}

/** The period before, or the one after. */
export function beside({ grain, first, after }: Period, way: -1 | 1): Period {
  return periodOf(grain, way === 1 ? after : addDays(first, -1))
}

/** The day that it is in a zone. */
export function dayIn(timeZone: string, now: Date): string {
  const parts = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
    .formatToParts(now)
    .reduce<Record<string, string>>((all, part) => ({ ...all, [part.type]: part.value }), {})
  return `${parts.year}-${parts.month}-${parts.day}`
}

/** A day that somebody wrote into the address; null if it is none. */
export function readDay(written: string | null): string | null {
  if (written === null || !/^\d{4}-\d{2}-\d{2}$/.test(written)) return null
  const ms = number(written)
  return Number.isNaN(ms) || text(ms) !== written ? null : written
}

/** How many hours a day has, by the beginning of its first hour and the end of its last: 23 or 25 where clocks change. */
export function hoursBetween(startsAt: string, endsAt: string): number {
  return (Date.parse(endsAt) - Date.parse(startsAt)) / 3_600_000
}

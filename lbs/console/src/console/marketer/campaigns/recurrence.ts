// The recurrence rules that most people need, as a form knows them; any other rule stays text.
import type { Weekday } from './model'

export type Kind = 'weekly' | 'monthly_weekday' | 'monthly_day' | 'yearly'
export const KINDS: readonly Kind[] = ['weekly', 'monthly_weekday', 'monthly_day', 'yearly']

export interface Recurrence {
  kind: Kind
  /** The first day that may be one, YYYY-MM-DD, and the wall time at which each begins, HH:MM. */
  first: string
  time: string
  /** Every so many weeks or months. */
  every: number
  /** Of `weekly`: which days. Of `monthly_weekday`: the one. */
  days: Weekday[]
  /** Of `monthly_weekday`: the first to the fourth, or -1 for the last. */
  nth: number
}

const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)\d\d$/
const KNOWN = new Set(['FREQ', 'INTERVAL', 'BYDAY'])

export function writeRule(rule: Recurrence): string {
  const start = `DTSTART:${rule.first.replaceAll('-', '')}T${rule.time.replace(':', '')}00`
  const every = rule.every > 1 ? `;INTERVAL=${rule.every}` : ''
  const day = (rule.days[0] ?? 'mo').toUpperCase()
  const parts = {
    weekly: `FREQ=WEEKLY${every};BYDAY=${rule.days.map((one) => one.toUpperCase()).join()}`,
    monthly_weekday: `FREQ=MONTHLY${every};BYDAY=${rule.nth}${day}`,
    monthly_day: `FREQ=MONTHLY${every}`,
    yearly: 'FREQ=YEARLY',
  }
  return `${start}\nRRULE:${parts[rule.kind]}`
}

/** The rule as the form knows it; null for one that it does not. */
export function readRule(text: string): Recurrence | null {
  const [start, rule, more] = text.trim().split('\n')
  const at = DATE.exec(start?.replace(/^DTSTART:/, '') ?? '')
  if (!at || !rule?.startsWith('RRULE:') || more !== undefined) return null
  const parts = new Map(
    rule
      .slice('RRULE:'.length)
      .split(';')
      .map((part) => part.split('=') as [string, string]),
  )
  if ([...parts.keys()].some((key) => !KNOWN.has(key))) return null
  const first = `${at[1]}-${at[2]}-${at[3]}`
  const common = { first, time: `${at[4]}:${at[5]}`, every: Number(parts.get('INTERVAL') ?? 1), nth: 1 }
  const days = (parts.get('BYDAY') ?? '').split(',').filter(Boolean)
  const plain = days.filter((day) => /^(MO|TU|WE|TH|FR|SA|SU)$/.test(day)).map((day) => day.toLowerCase() as Weekday)
  const nth = /^(-1|[1-4])(MO|TU|WE|TH|FR|SA|SU)$/.exec(days[0] ?? '')
  const found = (): Recurrence | null => {
    switch (parts.get('FREQ')) {
      case 'WEEKLY':
        return plain.length > 0 && plain.length === days.length ? { ...common, kind: 'weekly', days: plain } : null
      case 'MONTHLY':
        if (days.length === 0) return { ...common, kind: 'monthly_day', days: [] }
        if (days.length > 1 || !nth?.[2]) return null
        return { ...common, kind: 'monthly_weekday', nth: Number(nth[1]), days: [nth[2].toLowerCase() as Weekday] }
      case 'YEARLY':
        return days.length === 0 ? { ...common, kind: 'yearly', days: [] } : null
      default:
        return null
    }
  }
  return found()
}

// What the profiles of fences say, as the API has them (docs: geofences), and how it is written.
import type { Format } from '@/shared/format'

export const SETTINGS = [
  'enter_after_s',
  'exit_after_s',
  'exit_buffer_m',
  'min_confidence',
  'dwell_s',
  'hold_s',
  'gap_s',
  'crossed_within_s',
] as const
export type Setting = (typeof SETTINGS)[number]

export const PROFILES: Record<'standard' | 'plain', Record<Setting, number>> = {
  standard: {
    enter_after_s: 30,
    exit_after_s: 60,
    exit_buffer_m: 20,
    min_confidence: 0.5,
    dwell_s: 120,
    hold_s: 300,
    gap_s: 1800,
    crossed_within_s: 0,
  },
  plain: {
    enter_after_s: 0,
    exit_after_s: 0,
    exit_buffer_m: 0,
    min_confidence: 0,
    dwell_s: 0,
    hold_s: 0,
    gap_s: 0,
    crossed_within_s: 0,
  },
}

const OFF_AT_ZERO: readonly Setting[] = ['dwell_s', 'gap_s', 'crossed_within_s']

export function settingText(name: Setting, value: number, format: Format, off: string): string {
  if (value === 0 && OFF_AT_ZERO.includes(name)) return off
  if (name.endsWith('_s')) return format.duration(value)
  return name.endsWith('_m') ? format.distance(value) : format.share(value)
}

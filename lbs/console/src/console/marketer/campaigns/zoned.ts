// Wall times of a zone as instants.
const MINUTE_MS = 60_000

function offsetMs(at: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(at)
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value)
  const wall = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'))
  return wall - Math.floor(at / 1000) * 1000
}

/** `2026-06-01 12:30` in a zone as an ISO instant. Where the clock goes back the first occurrence, in a gap the instant after it. */
export function instantIn(zone: string, wall: string): string {
  const naive = Date.parse(`${wall.replace(' ', 'T')}Z`)
  const offsets = [offsetMs(naive - 24 * 60 * MINUTE_MS, zone), offsetMs(naive + 24 * 60 * MINUTE_MS, zone)]
  const found = offsets.map((offset) => naive - offset).filter((at) => at + offsetMs(at, zone) === naive)
  return new Date(found.length > 0 ? Math.min(...found) : naive - Math.min(...offsets)).toISOString()
}

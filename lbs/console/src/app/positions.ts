// Positions on their way to the API: thinned, sent in batches, kept while offline. In memory only: a phone that is lost
// holds no track, and what is older than the API takes is dropped here already.

export interface Position {
  lat: number
  lng: number
  recorded_at: string
  accuracy_m?: number
  speed_mps?: number
}

/** What became of a batch. `retry_s`: not before. */
export type Outcome = { kind: 'sent' } | { kind: 'retry'; retry_s?: number } | { kind: 'refused'; why: string }
export type SendPositions = (positions: readonly Position[]) => Promise<Outcome>

const EVERY_MS = 5_000
/** Nearer and sooner than this, two positions say the same. */
const SAME_M = 5
const STILL_MS = 30_000
const MOST = 1_000
/** The API refuses what is older than a day; some hours less, and a phone that was off for a while catches up. */
const OLDEST_MS = 20 * 3_600_000
const LONGEST_BACKOFF_S = 120

export class PositionQueue {
  private waiting: Position[] = []
  private sending = false
  private last: Position | null = null
  private backoffS = 0
  private notBefore = 0
  private sentAt = -Infinity

  constructor(
    private readonly send: SendPositions,
    private readonly now: () => number = Date.now,
  ) {}

  get length(): number {
    return this.waiting.length
  }

  /** Takes a position; false if it tells nothing new. */
  add(position: Position): boolean {
    if (this.last && Date.parse(position.recorded_at) - Date.parse(this.last.recorded_at) < STILL_MS) {
      const better = (position.accuracy_m ?? Infinity) < (this.last.accuracy_m ?? Infinity) / 2
      if (!better && metres(position, this.last) < SAME_M) return false
    }
    this.last = position
    this.waiting.push(position)
    if (this.waiting.length > MOST) this.waiting.shift()
    return true
  }

  /** Sends what waits if it is time to; null if there was nothing to do. Never throws. */
  async flush(urgent = false): Promise<Outcome | null> {
    const now = this.now()
    this.waiting = this.waiting.filter((one) => Date.parse(one.recorded_at) > now - OLDEST_MS)
    if (this.sending || !this.waiting.length) return null
    if (!urgent && (now < this.notBefore || now < this.sentAt + EVERY_MS)) return null
    const batch = this.waiting.slice(0, MOST)
    this.sending = true
    this.sentAt = now
    const outcome = await this.send(batch).catch((): Outcome => ({ kind: 'retry' }))
    this.sending = false
    if (outcome.kind === 'retry') {
      this.backoffS = Math.min(Math.max(5, this.backoffS * 2), LONGEST_BACKOFF_S)
      this.notBefore = this.now() + 1000 * Math.max(this.backoffS, outcome.retry_s ?? 0)
    } else {
      this.backoffS = 0
      this.notBefore = 0
      // what came meanwhile stays
      this.waiting = outcome.kind === 'sent' ? this.waiting.filter((one) => !batch.includes(one)) : []
    }
    return outcome
  }

  clear(): void {
    this.waiting = []
    this.last = null
  }
}

export function positionOf({ coords, timestamp }: GeolocationPosition): Position {
  return {
    lat: coords.latitude,
    lng: coords.longitude,
    recorded_at: new Date(timestamp).toISOString(),
    ...(coords.accuracy > 0 ? { accuracy_m: coords.accuracy } : {}),
    ...(coords.speed !== null && coords.speed >= 0 ? { speed_mps: coords.speed } : {}),
  }
}

const EARTH_M = 6_371_008.8

/** Great-circle distance: good to 0.6 %, for what is shown and thinned; the API measures on the ellipsoid. */
export function metres(a: { lat: number; lng: number }, b: { lat: number; lng: number }): number {
  const rad = Math.PI / 180
  const half =
    Math.sin(((b.lat - a.lat) * rad) / 2) ** 2 +
    Math.cos(a.lat * rad) * Math.cos(b.lat * rad) * Math.sin(((b.lng - a.lng) * rad) / 2) ** 2
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(half)))
}

/** Sends a batch for a device. */
export function positionSender(device: { id: string; token: string }): SendPositions {
  return async (positions) => {
    const response = await fetch('/v1/positions', {
      method: 'POST',
      credentials: 'omit',
      headers: { Authorization: `Bearer ${device.token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ device_id: device.id, positions }),
    })
    if (response.ok) return { kind: 'sent' }
    if (response.status === 429 || response.status >= 500) {
      return { kind: 'retry', retry_s: Number(response.headers.get('Retry-After')) || 0 }
    }
    return { kind: 'refused', why: String(response.status) }
  }
}

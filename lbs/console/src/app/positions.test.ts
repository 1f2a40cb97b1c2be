import { describe, expect, it } from 'vitest'
import { metres, type Outcome, type Position, PositionQueue, positionOf } from './positions'

const START = Date.UTC(2026, 5, 1, 12)
const at = (s: number, northM = 0, accuracy_m = 10): Position => ({
  lat: 60 + northM / 111_400,
  lng: 25,
  recorded_at: new Date(START + s * 1000).toISOString(),
  accuracy_m,
})

function rig(...answers: Outcome[]) {
  const sent: number[][] = []
  const clock = { now: START }
  const queue = new PositionQueue(
    (positions) => {
      sent.push(positions.map((one) => (Date.parse(one.recorded_at) - START) / 1000))
      const answer = answers.shift()
      return answer ? Promise.resolve(answer) : Promise.reject(new Error('no network'))
    },
    () => clock.now,
  )
  return { queue, sent, clock, after: (s: number) => (clock.now = START + s * 1000) }
}

describe('PositionQueue', () => {
  it('sends in batches, not one by one', async () => {
    const { queue, sent, after } = rig({ kind: 'sent' }, { kind: 'sent' })
    queue.add(at(0))
    await queue.flush()
    for (const s of [1, 2, 3]) {
      after(s)
      queue.add(at(s, s * 20))
      await queue.flush()
    }
    after(6)
    await queue.flush()
    expect(sent).toEqual([[0], [1, 2, 3]])
    expect(queue.length).toBe(0)
  })

  it('leaves out what says nothing new, but tells from time to time that one is still there', () => {
    const { queue } = rig()
    expect([at(0), at(5, 2), at(10, 50), at(12, 50, 4), at(20, 50), at(45, 50)].map((one) => queue.add(one))).toEqual([
      true,
      false,
      true,
      true,
      false,
      true,
    ])
  })

  it('keeps everything while offline, waits longer each time, and sends it in one batch', async () => {
    const { queue, sent, after } = rig({ kind: 'retry' }, { kind: 'retry', retry_s: 60 }, { kind: 'sent' })
    queue.add(at(0))
    await queue.flush()
    after(4)
    expect(await queue.flush()).toBeNull()
    after(6)
    queue.add(at(6, 100))
    await queue.flush()
    after(40)
    expect(await queue.flush()).toBeNull()
    after(67)
    await queue.flush()
    expect(sent).toEqual([[0], [0, 6], [0, 6]])
    expect(queue.length).toBe(0)
  })

  it('sends at once when the network is back', async () => {
    const { queue, sent, after } = rig()
    queue.add(at(0))
    await queue.flush()
    after(1)
    await queue.flush(true)
    expect(sent).toHaveLength(2)
    expect(queue.length).toBe(1)
  })

  it('forgets what was refused, and what is too old to be taken', async () => {
    const refused = rig({ kind: 'refused', why: '403' })
    refused.queue.add(at(0))
    await refused.queue.flush()
    expect(refused.queue.length).toBe(0)
    const old = rig({ kind: 'sent' })
    old.queue.add(at(0))
    old.after(24 * 3600)
    expect(await old.queue.flush()).toBeNull()
    expect(old.queue.length).toBe(0)
  })

  it('keeps what comes while a batch is under way', async () => {
    let release: (outcome: Outcome) => void = () => undefined
    const queue = new PositionQueue(
      () => new Promise((resolve) => (release = resolve)),
      () => START,
    )
    queue.add(at(0))
    const under = queue.flush()
    queue.add(at(1, 100))
    expect(await queue.flush(true)).toBeNull()
    release({ kind: 'sent' })
    await under
    expect(queue.length).toBe(1)
  })
})

it('tells accuracy and speed where the phone knows them', () => {
  const coords = { latitude: 60, longitude: 25, accuracy: 8, speed: null } as GeolocationCoordinates
  expect(positionOf({ coords, timestamp: START } as GeolocationPosition)).toEqual({
    lat: 60,
    lng: 25,
    recorded_at: '2026-06-01T12:00:00.000Z',
    accuracy_m: 8,
  })
})

it('measures across the antimeridian', () => {
  expect(metres({ lat: 0, lng: 179.999 }, { lat: 0, lng: -179.999 })).toBeCloseTo(222.4, 0)
})

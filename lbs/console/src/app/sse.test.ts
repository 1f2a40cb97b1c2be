import { describe, expect, it } from 'vitest'
import { EventCutter, listen, type ServerEvent } from './sse'

const cut = (...pieces: string[]) => {
  const cutter = new EventCutter()
  return pieces.flatMap((piece) => cutter.push(piece))
}

describe('EventCutter', () => {
  it('reads events with their ids', () => {
    expect(cut('id: 7\nevent: offer\ndata: {"a":1}\n\n')).toEqual([{ event: 'offer', data: '{"a":1}', id: '7' }])
  })

  it('reads the same in any pieces and with any ends of lines', () => {
    for (const end of ['\n', '\r\n', '\r']) {
      const text = `id: 7${end}event: offer${end}data: one${end}data: two${end}${end}: ping${end}data:x${end}${end}\n`
      const whole = cut(text)
      expect(whole).toEqual([
        { event: 'offer', data: 'one\ntwo', id: '7' },
        { event: 'message', data: 'x', id: '7' },
      ])
      expect(cut(...text)).toEqual(whole)
    }
  })

  it('tells no event without data, and nothing of comments and a byte order mark', () => {
    expect(cut('\uFEFF: ping\n\nevent: offer\n\n')).toEqual([])
  })
})

describe('listen', () => {
  const stream = (...answers: (string | number | Error)[]) => {
    const asked: (string | undefined)[] = []
    const ended = new AbortController()
    const states: boolean[] = []
    const waits: number[] = []
    const events: ServerEvent[] = []
    const run = listen({
      url: '/stream',
      token: 't',
      signal: ended.signal,
      after: () => Promise.resolve(events.at(-1)?.id),
      onEvent: (event) => void events.push(event),
      onState: (open) => states.push(open),
      wait: (ms) => {
        waits.push(ms)
        if (!answers.length) ended.abort()
        return Promise.resolve()
      },
      fetch: (_, init) => {
        asked.push(new Headers(init?.headers).get('Last-Event-ID') ?? undefined)
        const answer = answers.shift() ?? 503
        if (answer instanceof Error) return Promise.reject(answer)
        return Promise.resolve(typeof answer === 'number' ? new Response('', { status: answer }) : new Response(answer))
      },
    })
    return { run, asked, events, states, waits }
  }

  it('goes on after the last event it heard', async () => {
    const { run, asked, events, states } = stream('id: 1\ndata: a\n\n', new Error('network'), 'id: 2\ndata: b\n\n')
    await run
    expect(events.map(({ data }) => data)).toEqual(['a', 'b'])
    expect(asked).toEqual([undefined, '1', '1'])
    expect(states).toEqual([true, false, false, true, false])
  })

  it('waits longer each time, and begins anew after a stream that stood', async () => {
    const { run, waits } = stream(503, 503, 503, 'data: a\n\n', 503)
    await run
    const most = [1000, 2000, 4000, 1000, 2000]
    expect(waits).toHaveLength(most.length)
    waits.forEach((ms, at) => {
      expect(ms).toBeLessThanOrEqual(most[at] ?? 0)
      expect(ms).toBeGreaterThanOrEqual((most[at] ?? 0) / 2)
    })
  })

  it('asks no more once its token is none', async () => {
    const { run, asked } = stream(401, 'data: a\n\n')
    await run
    expect(asked).toHaveLength(1)
  })
})

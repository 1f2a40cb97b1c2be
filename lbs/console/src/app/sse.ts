// Server-sent events read with fetch, because EventSource sends no Authorization header.

export interface ServerEvent {
  event: string
  data: string
  id: string
}

/** Cuts a text that arrives in pieces into events, as the HTML standard says (9.2.6); `retry` is not used. */
export class EventCutter {
  private rest = ''
  private fields: { event: string; data: string[] } = { event: '', data: [] }
  private begun = false
  /** The id of the last event that was told. */
  id = ''

  push(piece: string): ServerEvent[] {
    this.rest += piece
    if (!this.begun && this.rest) {
      this.rest = this.rest.replace(/^\uFEFF/, '')
      this.begun = true
    }
    const found: ServerEvent[] = []
    for (;;) {
      const end = /\r\n|\n|\r/.exec(this.rest)
      // a lone \r at the end may be the first half of \r\n
      if (!end || (end[0] === '\r' && end.index === this.rest.length - 1)) return found
      const line = this.rest.slice(0, end.index)
      this.rest = this.rest.slice(end.index + end[0].length)
      const event = this.take(line)
      if (event) found.push(event)
    }
  }

  private take(line: string): ServerEvent | null {
    if (line === '') {
      const { event, data } = this.fields
      this.fields = { event: '', data: [] }
      return data.length ? { event: event || 'message', data: data.join('\n'), id: this.id } : null
    }
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (name === 'event') this.fields.event = value
    else if (name === 'data') this.fields.data.push(value)
    else if (name === 'id' && !value.includes('\0')) this.id = value
    return null
  }
}

export interface Listening {
  url: string
  token: string
  /** The id after which to go on; asked at each attempt. */
  after: () => Promise<string | undefined>
  onEvent: (event: ServerEvent) => void | Promise<void>
  /** Said when the stream stands and when it was lost. */
  onState?: (open: boolean) => void
  signal: AbortSignal
  fetch?: typeof fetch
  wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

const FIRST_MS = 1_000
const LONGEST_MS = 60_000
/** The API says something every 15 s: a stream that is silent for longer is dead, however open it looks. */
const SILENT_MS = 45_000

/** Listens until the signal, or until the API says that this token is none (401, 403, 404, 410). */
export async function listen(on: Listening): Promise<void> {
  const { signal, wait = pause } = on
  let backoff = FIRST_MS
  while (!signal.aborted) {
    let heard = false
    try {
      const gone = await once(on, () => {
        heard = true
      })
      if (gone) return
    } catch {
      // the network: tried again like an end
    }
    on.onState?.(false)
    if (signal.aborted) return
    if (heard) backoff = FIRST_MS
    // full jitter: phones that lost one server do not come back to it all at once
    await wait(backoff * (0.5 + Math.random() / 2), signal)
    backoff = Math.min(backoff * 2, LONGEST_MS)
  }
}

/** One connection; true if another would be of no use. */
async function once(on: Listening, heard: () => void): Promise<boolean> {
  const after = await on.after()
  const silent = new AbortController()
  const stop = () => silent.abort()
  on.signal.addEventListener('abort', stop)
  let timer = setTimeout(stop, SILENT_MS)
  try {
    const response = await (on.fetch ?? fetch)(on.url, {
      headers: {
        Authorization: `Bearer ${on.token}`,
        Accept: 'text/event-stream',
        ...(after ? { 'Last-Event-ID': after } : {}),
      },
      credentials: 'omit',
      cache: 'no-store',
      signal: silent.signal,
    })
    if (!response.ok || !response.body) return [401, 403, 404, 410].includes(response.status)
    heard()
    on.onState?.(true)
    const cutter = new EventCutter()
    const reader = response.body
      .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return false
      clearTimeout(timer)
      timer = setTimeout(stop, SILENT_MS)
      for (const event of cutter.push(value)) await on.onEvent(event)
    }
  } finally {
    clearTimeout(timer)
    on.signal.removeEventListener('abort', stop)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    const now = () => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener('abort', now, { once: true })
    // back online: why wait
    if (typeof window !== 'undefined') window.addEventListener('online', now, { once: true, signal })
  })
}

// What became of messages on this phone, told to the API once: kept while offline, forgotten when they no longer matter.
import type { Keep, Waiting } from './keep'

export type ReceiptEvent = Waiting['event']

/** What POST /v1/receipts takes at once. */
const MOST = 100
/** No message is asked about for longer. */
const REMEMBERED_MS = 30 * 86_400_000

export type Send = (receipts: readonly Waiting[]) => Promise<void>

/** Notes an event; false if it was noted before. `flush` tells the API. */
export function note(keep: Keep, messageId: string, event: ReceiptEvent, now = Date.now()): Promise<boolean> {
  const waiting = { message_id: messageId, event, at: new Date(now).toISOString() }
  return keep.add('receipts', { id: `${messageId} ${event}`, at: now, waiting })
}

/** Tells what waits, in the order in which it happened; throws what `send` throws, and then it waits on. */
export async function flush(keep: Keep, send: Send, now = Date.now()): Promise<number> {
  const all = (await keep.all('receipts')).sort((a, b) => a.at - b.at)
  const old = all.filter((row) => row.at < now - REMEMBERED_MS).map((row) => row.id)
  if (old.length) await keep.remove('receipts', old)
  const waiting = all.filter((row) => row.waiting !== null && !old.includes(row.id))
  for (let from = 0; from < waiting.length; from += MOST) {
    const some = waiting.slice(from, from + MOST)
    await send(some.flatMap((row) => row.waiting ?? []))
    await keep.put(
      'receipts',
      some.map((row) => ({ ...row, waiting: null })),
    )
  }
  return waiting.length
}

/** Sends with a device's token. What the API will never take is not sent again. */
export function sender(token: string): Send {
  return async (receipts) => {
    const response = await fetch('/v1/receipts', {
      method: 'POST',
      credentials: 'omit',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ receipts }),
    })
    if (response.status === 429 || response.status >= 500) throw new Error(String(response.status))
  }
}

// Which messages this phone has shown as notifications: a push service may bring one twice.
import type { Keep } from './keep'

/** Longer than any push service keeps a message (RFC 8030 says nothing; ours send for at most 28 days). */
const REMEMBERED_MS = 30 * 86_400_000

/** What our sender encrypts, see docs/how-to/web-push-and-webhooks.md. */
export interface Pushed {
  id: string
  title: string
  body: string
  data: Record<string, unknown>
}

/** The message of a push event's text; null if it is none of ours. */
export function read(text: string | undefined): Pushed | null {
  try {
    const said = JSON.parse(text ?? '') as Partial<Pushed> | null
    if (typeof said?.id !== 'string' || typeof said.title !== 'string') return null
    return { id: said.id, title: said.title, body: String(said.body ?? ''), data: said.data ?? {} }
  } catch {
    return null
  }
}

/** Whether a message is new here; asking remembers it. */
export async function isNew(keep: Keep, id: string, now = Date.now()): Promise<boolean> {
  const old = (await keep.all('shown')).filter((row) => row.at < now - REMEMBERED_MS)
  if (old.length)
    await keep.remove(
      'shown',
      old.map((row) => row.id),
    )
  return keep.add('shown', { id, at: now })
}

/** Where a notification leads: to the offer that it is about. */
export function pageOf({ data }: Pushed): string {
  const { store_id: store, campaign_id: campaign } = data
  return typeof campaign === 'string'
    ? `/app/offers/${typeof store === 'string' ? store : '-'}/${campaign}`
    : '/app/inbox'
}

// Messages: read from the API, joined by what the stream brings, told about once.
import { useInfiniteQuery, useQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { body, type Schemas } from '@/shared/api/client'
import { useApi, useDevice } from './device'
import { type Device, keep } from './keep'
import { flush, note, type ReceiptEvent, sender } from './receipts'
import { listen } from './sse'

/** What our sender puts into `data`. */
export interface MessageData {
  campaign_id?: string
  store_id?: string | null
  store_name?: string
  offer?: Schemas['Offer']
  test?: boolean
}
export type Message = Omit<Schemas['InboxView'], 'data'> & { data: MessageData }
type Page = { items: Message[]; next_cursor?: string | null }

export const INBOX = ['inbox'] as const
const DISMISSED = ['dismissed'] as const

export function useInbox() {
  const api = useApi()
  const { id } = useDevice()
  return useInfiniteQuery({
    queryKey: INBOX,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/v1/devices/{device_id}/inbox', {
          params: { path: { device_id: id }, query: { limit: 50, cursor: pageParam ?? null } },
        }),
      ) as Promise<Page>,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  })
}

export function useDismissed() {
  const queries = useQueryClient()
  const { data } = useQuery({ queryKey: DISMISSED, queryFn: async () => (await keep.get('dismissed')) ?? [] })
  return {
    dismissed: data ?? [],
    set: async (ids: string[]) => {
      queries.setQueryData(DISMISSED, ids)
      await keep.set('dismissed', ids.slice(-500))
    },
  }
}

/** The messages that are shown, newest first. */
export function useMessages() {
  const { data } = useInbox()
  const { dismissed } = useDismissed()
  return data?.pages.flatMap((page) => page.items).filter((one) => !dismissed.includes(one.message_id)) ?? []
}

/** Tells the API what became of a message, now or when there is a network again. */
export async function tell(device: Device, messageId: string, event: ReceiptEvent): Promise<void> {
  if (await note(keep, messageId, event)) await flush(keep, sender(device.token)).catch(() => undefined)
}

/** Marks a message as read here, and tells the API. */
export function useOpened() {
  const device = useDevice()
  const queries = useQueryClient()
  return (messageId: string) => {
    queries.setQueryData<InfiniteData<Page>>(
      INBOX,
      (data) =>
        data && {
          ...data,
          pages: data.pages.map((page) => ({
            ...page,
            items: page.items.map((one) => (one.message_id === messageId ? { ...one, opened: true } : one)),
          })),
        },
    )
    void tell(device, messageId, 'opened')
  }
}

/** Listens while the app is open. `arrived` hears of each message once. */
export function useStream(arrived: (message: Message) => void) {
  const device = useDevice()
  const queries = useQueryClient()
  const hear = useRef(arrived)
  hear.current = arrived

  useEffect(() => {
    const ended = new AbortController()
    void listen({
      url: `/v1/devices/${encodeURIComponent(device.id)}/stream`,
      token: device.token,
      after: () => keep.get('last_event'),
      signal: ended.signal,
      onState: (open) => {
        if (!open) return
        // what came before the stream stood, or while no id was known to go on from
        void queries.invalidateQueries({ queryKey: INBOX })
        void flush(keep, sender(device.token)).catch(() => undefined)
      },
      onEvent: async ({ event, data, id }) => {
        if (id) await keep.set('last_event', id)
        if (event !== 'offer') return
        const message = JSON.parse(data) as Message
        queries.setQueryData<InfiniteData<Page>>(INBOX, (known) => known && withNew(known, message))
        hear.current(message)
      },
    })
    return () => ended.abort()
  }, [device, queries])
}

function withNew(known: InfiniteData<Page>, message: Message): InfiniteData<Page> {
  const [first, ...rest] = known.pages
  if (!first || known.pages.some((page) => page.items.some((one) => one.message_id === message.message_id)))
    return known
  return { ...known, pages: [{ ...first, items: [message, ...first.items] }, ...rest] }
}

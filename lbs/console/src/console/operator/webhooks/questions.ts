import { useQuery } from '@tanstack/react-query'
import { api, body, everything, type Schemas } from '@/shared/api/client'

export type Webhook = Schemas['WebhookView']
type Pattern = NonNullable<Schemas['WebhookBody']['events']>[number]

/** What can be subscribed to; a group holds its events, also those that a later version adds. */
export const PATTERNS = [
  'visit.*',
  'visit.entered',
  'visit.dwelled',
  'visit.exited',
  'visit.crossed',
  'visit.corrected',
  'visit.retracted',
  'decision.*',
  'decision.offered',
  'decision.held_out',
  'decision.suppressed',
  'redemption.*',
  'redemption.verified',
  'redemption.cancelled',
] as const satisfies readonly Pattern[]

export const WEBHOOKS = ['webhooks']

export function useWebhooks() {
  return useQuery({
    queryKey: WEBHOOKS,
    queryFn: () =>
      everything((cursor) =>
        body(api.GET('/v1/webhooks', { params: { query: { limit: 1000, ...(cursor ? { cursor } : {}) } } })),
      ),
  })
}

/** With its secret, which is not kept longer than the page is open. */
export function useWebhook(webhookId: string) {
  return useQuery({
    queryKey: [...WEBHOOKS, webhookId],
    queryFn: () => body(api.GET('/v1/webhooks/{webhook_id}', { params: { path: { webhook_id: webhookId } } })),
    gcTime: 0,
  })
}

// What the campaign pages ask of the API.
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, everything, type Schemas } from '@/shared/api/client'
import type { operations } from '@/shared/api/schema'
import { type FenceView, type StoreView } from './model'

/** What the pages hold of the tenant's places at most; whoever has more names them by their ids. */
export const MOST_PLACES = 20_000
const PLACES_FRESH_MS = 300_000
const PAGE = 1000
const LOOK_AGAIN_MS = 30_000

const page = (cursor: string | undefined) => ({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })

export const campaignKey = (id: string) => ['campaigns', id] as const

export function useCampaigns() {
  return useQuery({
    queryKey: ['campaigns', 'list'],
    queryFn: ({ signal }) =>
      everything((cursor) => body(api.GET('/v1/campaigns', { params: { query: page(cursor) }, signal }))),
    refetchInterval: LOOK_AGAIN_MS,
  })
}

export function useCampaign(id: string, { live = true }: { live?: boolean } = {}) {
  return useQuery({
    queryKey: [...campaignKey(id), 'now'],
    queryFn: ({ signal }) =>
      body(api.GET('/v1/campaigns/{campaign_id}', { params: { path: { campaign_id: id } }, signal })),
    ...(live ? { refetchInterval: LOOK_AGAIN_MS } : { refetchOnWindowFocus: false, staleTime: 0, gcTime: 0 }),
  })
}

export function useHistory(id: string) {
  return useQuery({
    queryKey: [...campaignKey(id), 'history'],
    queryFn: ({ signal }) =>
      body(api.GET('/v1/campaigns/{campaign_id}/history', { params: { path: { campaign_id: id } }, signal })),
  })
}

export type ReportQuery = NonNullable<operations['report_campaign']['parameters']['query']>

/** The report as JSON, which refreshes itself. */
export function useReport(
  id: string,
  query: ReportQuery,
  { everyMs, enabled = true }: { everyMs: number; enabled?: boolean },
) {
  return useQuery({
    queryKey: [...campaignKey(id), 'report', query],
    queryFn: async ({ signal }) => {
      const params = { path: { campaign_id: id }, query }
      // the operation can answer with a file too, but not without `format`
      return (await body(api.GET('/v1/campaigns/{campaign_id}/report', { params, signal }))) as Schemas['Report']
    },
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
    enabled,
  })
}

export function useStores({ enabled = true }: { enabled?: boolean } = {}) {
  return useQuery({
    queryKey: ['stores', 'all'],
    queryFn: ({ signal }) =>
      everything((cursor) => body(api.GET('/v1/stores', { params: { query: page(cursor) }, signal })), MOST_PLACES),
    staleTime: PLACES_FRESH_MS,
    enabled,
  })
}

export function useFences({ enabled = true }: { enabled?: boolean } = {}) {
  return useQuery({
    queryKey: ['fences', 'all'],
    queryFn: ({ signal }) =>
      everything((cursor) => body(api.GET('/v1/fences', { params: { query: page(cursor) }, signal })), MOST_PLACES),
    staleTime: PLACES_FRESH_MS,
    enabled,
  })
}

export const nameOfStore = (store: StoreView) => store.name
export const nameOfFence = (fence: FenceView) => fence.name ?? fence.external_id

/** Places by what a campaign may call them: their id here, else the tenant's own. */
export function byName<T extends { external_id: string }>(places: readonly T[], idOf: (place: T) => string) {
  return new Map([
    ...places.map((one) => [one.external_id, one] as const),
    ...places.map((one) => [idOf(one), one] as const),
  ])
}

export type Move = 'submit' | 'withdraw' | 'approve' | 'reject' | 'pause' | 'resume' | 'stop' | 'archive' | 'unarchive'

export interface Step {
  campaignId: string
  move: Move
  /** The version that was looked at: of a newer one the step is refused. */
  version: number
  reason?: string
}

/** A step of a campaign's life. */
export function useMove() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: async ({ campaignId, move, version, reason = '' }: Step) => {
      const path = { campaign_id: campaignId }
      if (move === 'reject') {
        const params = { path, query: { version } }
        return body(api.POST('/v1/campaigns/{campaign_id}/reject', { params, body: { reason } }))
      }
      const params = { path: { ...path, move }, query: { version } }
      return body(api.POST('/v1/campaigns/{campaign_id}/{move}', { params, ...(reason ? { body: { reason } } : {}) }))
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['campaigns'] }),
  })
}

export function useClone() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) =>
      body(api.POST('/v1/campaigns/{campaign_id}/clone', { params: { path: { campaign_id: id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ['campaigns'] }),
  })
}

// What the dashboard asks of the API.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '@/shared/api/client'
import type { Grain, Period } from './period'

export type Figures = Schemas['Figures']

const LIVE_MS = 5_000
const TODAY_MS = 15_000

const of = (storeId: string) => ({ path: { store_id: storeId } })

export function useLive(storeId: string) {
  return useQuery({
    queryKey: ['traffic', storeId, 'live'],
    queryFn: () => body(api.GET('/v1/traffic/stores/{store_id}/live', { params: of(storeId) })),
    refetchInterval: LIVE_MS,
  })
}

export function useToday(storeId: string, enabled: boolean) {
  return useQuery({
    queryKey: ['traffic', storeId, 'today'],
    queryFn: () => body(api.GET('/v1/traffic/stores/{store_id}/today', { params: of(storeId) })),
    refetchInterval: TODAY_MS,
    enabled,
  })
}

/** `moving`: the period has not ended, so that its figures change. */
export function useSeries(storeId: string, grain: Grain | 'hour', first: string, after: string, moving: boolean) {
  return useQuery({
    queryKey: ['traffic', storeId, 'series', grain, first, after],
    queryFn: () =>
      body(
        api.GET('/v1/traffic/stores/{store_id}/series', {
          params: { ...of(storeId), query: { grain, from: first, to: after } },
        }),
      ),
    placeholderData: keepPreviousData,
    ...(moving ? { refetchInterval: TODAY_MS } : {}),
  })
}

export function useDwell(storeId: string, { grain, first }: Period) {
  return useQuery({
    queryKey: ['traffic', storeId, 'dwell', grain, first],
    queryFn: () =>
      body(
        api.GET('/v1/traffic/stores/{store_id}/dwell', { params: { ...of(storeId), query: { grain, date: first } } }),
      ),
    placeholderData: keepPreviousData,
  })
}

export function useHeat(storeId: string, { grain, first }: Period) {
  return useQuery({
    queryKey: ['traffic', storeId, 'heat', grain, first],
    queryFn: () =>
      body(
        api.GET('/v1/traffic/stores/{store_id}/heat', { params: { ...of(storeId), query: { grain, date: first } } }),
      ),
    placeholderData: keepPreviousData,
  })
}

const OFFERS_MS = 60_000
/** Shops of one house lie at one place. */
const NEIGHBOURS = 100

/** The offers that a shopper would find at the store now. */
export function useOffers(store: Schemas['StoreView']) {
  return useQuery({
    queryKey: ['offers', store.store_id],
    queryFn: async () => {
      const { items } = await body(
        api.GET('/v1/offers/nearby', {
          params: { query: { lat: store.lat, lng: store.lng, radius_m: 1, limit: NEIGHBOURS } },
        }),
      )
      return items.find((one) => one.store_id === store.store_id)?.offers ?? []
    },
    refetchInterval: OFFERS_MS,
  })
}

// Offers near a place, and one offer at one store.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { body, type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { useApi } from './device'

export type NearOffers = Schemas['NearOffersView']
export type Offer = Schemas['Offer']
export type Sort = Schemas['Sort']

/** Where one looks from: a point, or a cell that says less. */
export type Origin = { lat: number; lng: number } | { cell: string }

export interface Filters {
  q: string
  open: boolean
  category: string
  sort: Sort
}

const PAGE = 20

export function useNearby(origin: Origin | null, { q, open, category, sort }: Filters) {
  const api = useApi()
  return useInfiniteQuery({
    queryKey: ['nearby', origin, q, open, category, sort],
    enabled: origin !== null,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET('/v1/offers/nearby', {
          params: {
            query: {
              ...(origin ?? {}),
              ...(q ? { q } : {}),
              ...(category ? { category } : {}),
              open_now: open,
              sort,
              limit: PAGE,
              cursor: pageParam ?? null,
            },
          },
          signal,
        }),
      ),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    // walking on, the list of a moment ago is better than none
    placeholderData: (before) => before,
  })
}

export function useStore(storeId: string | null) {
  const api = useApi()
  return useQuery({
    queryKey: ['store', storeId],
    enabled: storeId !== null,
    queryFn: () => body(api.GET('/v1/stores/{store_id}', { params: { path: { store_id: storeId ?? '' } } })),
    staleTime: 600_000,
  })
}

/** What can be used at a store now, whoever asks. */
export function useOffersOf(store: Schemas['StoreView'] | undefined) {
  const api = useApi()
  return useQuery({
    queryKey: ['offers of', store?.store_id],
    enabled: store !== undefined,
    queryFn: async () => {
      const { lat = 0, lng = 0 } = store ?? {}
      // several stores may lie in one place
      const found = await body(
        api.GET('/v1/offers/nearby', {
          params: { query: { lat, lng, radius_m: 1, limit: 100, open_now: false, sort: 'distance' } },
        }),
      )
      return found.items.find((one) => one.store_id === store?.store_id)?.offers ?? []
    },
  })
}

/** Whether a store is open, asked again when that changes. */
export function useOpen(storeId: string | null) {
  const api = useApi()
  return useQuery({
    queryKey: ['open', storeId],
    enabled: storeId !== null,
    queryFn: () => body(api.GET('/v1/stores/{store_id}/open', { params: { path: { store_id: storeId ?? '' } } })),
    staleTime: 60_000,
    refetchInterval: 300_000,
  })
}

/** No store: an offer of a place that is none. */
export const NO_STORE = '-'

export function offerPath({ store_id, campaign_id }: { store_id?: string | null; campaign_id?: string }): string {
  return campaign_id ? `/offers/${store_id ?? NO_STORE}/${campaign_id}` : '/inbox'
}

/** What an offer is worth, in a word or two. */
export function useWorth() {
  const { t } = useTranslation('app')
  const format = useFormat()
  return ({ kind, value, currency }: Offer): string | null => {
    if (kind === 'percentage' && value) return t('worth.off', { what: format.share(value / 100) })
    if (kind === 'amount' && value && currency) return t('worth.off', { what: format.money(value, currency) })
    return kind === 'gift' ? t('worth.gift') : null
  }
}

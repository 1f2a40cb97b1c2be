// What these pages ask of the API, and what they do with it.
import { keepPreviousData, useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, everything, type Schemas } from '@/shared/api/client'
import type { Bounds } from './fences/shape'
import { changed } from './stamp'

export type Store = Schemas['StoreView']
export type NearStore = Schemas['NearStoreView']
export type Fence = Schemas['FenceView']
export type StoreBody = Schemas['StoreBody']
export type FenceBody = Schemas['FenceBody']

const PAGE = 50
/** Of one store. */
const MOST_FENCES = 500
const MOST_CAMPAIGNS = 2_000

export const useBounds = () =>
  useQuery({
    queryKey: ['places', 'bounds'],
    queryFn: async ({ signal }) => (await body(api.GET('/v1/map/bounds', { signal }))).bounds as Bounds | null,
  })

export interface Wanted {
  q: string
  brand: string
  category: string
  openNow: boolean
}

/** Stores, those nearest to a place first. */
export const useStoresNear = (place: { lat: number; lng: number } | null, wanted: Wanted) =>
  useInfiniteQuery({
    queryKey: ['places', 'stores', 'near', place, wanted],
    enabled: place !== null,
    initialPageParam: undefined as string | undefined,
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET('/v1/stores/nearby', {
          signal,
          params: {
            query: {
              lat: place?.lat ?? 0,
              lng: place?.lng ?? 0,
              limit: PAGE,
              open_now: wanted.openNow,
              ...(wanted.q ? { q: wanted.q } : {}),
              ...(wanted.brand ? { brand: wanted.brand } : {}),
              ...(wanted.category ? { category: wanted.category } : {}),
              ...(pageParam ? { cursor: pageParam } : {}),
            },
          },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  })

export const useStore = (storeId: string | null) =>
  useQuery({
    queryKey: ['places', 'store', storeId],
    enabled: storeId !== null,
    queryFn: ({ signal }) =>
      body(api.GET('/v1/stores/{store_id}', { signal, params: { path: { store_id: storeId ?? '' } } })),
  })

/** When a store is open in the next days: whether it is now, and each change up to then. */
export const useHours = (storeId: string, days = 7) =>
  useQuery({
    queryKey: ['places', 'hours', storeId, days],
    refetchInterval: 60_000,
    queryFn: async ({ signal }) => {
      const ask = (at?: string) =>
        body(
          api.GET('/v1/stores/{store_id}/open', {
            signal,
            params: { path: { store_id: storeId }, query: at ? { at } : {} },
          }),
        )
      const now = await ask()
      const until = Date.now() + days * 86_400_000
      const changes: { at: string; open: boolean | null }[] = []
      let next = now.next_change
      while (next !== null && changes.length < MOST_CHANGES && (changes.length === 0 || Date.parse(next) < until)) {
        const then: Schemas['OpenAnswer'] = await ask(next)
        changes.push({ at: next, open: then.open })
        next = then.next_change
      }
      return { now, changes }
    },
  })
const MOST_CHANGES = 24

/** Fences that hold a text, in the order in which they were made. */
export const useFences = (q: string) =>
  useInfiniteQuery({
    queryKey: ['places', 'fences', q],
    initialPageParam: undefined as string | undefined,
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET('/v1/fences', {
          signal,
          params: { query: { limit: PAGE, ...(q ? { q } : {}), ...(pageParam ? { cursor: pageParam } : {}) } },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  })

export const useFence = (fenceId: string | null) =>
  useQuery({
    queryKey: ['places', 'fence', fenceId],
    enabled: fenceId !== null,
    queryFn: ({ signal }) =>
      body(api.GET('/v1/fences/{fence_id}', { signal, params: { path: { fence_id: fenceId ?? '' } } })),
  })

export const useFencesOf = (storeId: string | null) =>
  useQuery({
    queryKey: ['places', 'fences-of', storeId],
    enabled: storeId !== null,
    queryFn: ({ signal }) =>
      everything(
        (cursor) =>
          body(
            api.GET('/v1/fences', {
              signal,
              params: { query: { store_id: storeId ?? '', limit: 200, ...(cursor ? { cursor } : {}) } },
            }),
          ),
        MOST_FENCES,
      ),
  })

export const useCampaigns = () =>
  useQuery({
    queryKey: ['places', 'campaigns'],
    queryFn: ({ signal }) =>
      everything(
        (cursor) =>
          body(api.GET('/v1/campaigns', { signal, params: { query: { limit: 200, ...(cursor ? { cursor } : {}) } } })),
        MOST_CAMPAIGNS,
      ),
  })

/** A write after which everything about places is asked again, and tiles are drawn anew. */
export function useWrite<T, R>(write: (values: T) => Promise<R>, onDone?: (result: R) => void) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: write,
    onSuccess: (result) => {
      changed()
      // who wrote goes to another page: what is asked there is asked anew, what is gone is not asked for here
      void client.invalidateQueries({ queryKey: ['places'], refetchType: 'none' })
      onDone?.(result)
    },
  })
}

export const saveStore = ({ storeId, values }: { storeId: string | null; values: StoreBody }) =>
  body(
    storeId === null
      ? api.POST('/v1/stores', { body: values })
      : api.PUT('/v1/stores/{store_id}', { params: { path: { store_id: storeId } }, body: values }),
  )
export const deleteStore = (storeId: string) =>
  api.DELETE('/v1/stores/{store_id}', { params: { path: { store_id: storeId } } })
export const saveFence = ({ fenceId, values }: { fenceId: string | null; values: FenceBody }) =>
  body(
    fenceId === null
      ? api.POST('/v1/fences', { body: values })
      : api.PUT('/v1/fences/{fence_id}', { params: { path: { fence_id: fenceId } }, body: values }),
  )
export const deleteFence = (fenceId: string) =>
  api.DELETE('/v1/fences/{fence_id}', { params: { path: { fence_id: fenceId } } })

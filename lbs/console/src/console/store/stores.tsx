// The stores that the reader may see, and how one of them is chosen.
import { Select } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body, everything, type Schemas } from '@/shared/api/client'

export type Store = Schemas['StoreView']

const PAGE = 1000
const FRESH_MS = 300_000
/** So many are listed at once while somebody types. */
const SHOWN = 50

export function useStores() {
  return useQuery({
    queryKey: ['stores', 'all'],
    queryFn: () =>
      everything((cursor) =>
        body(api.GET('/v1/stores', { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } } })),
      ),
    staleTime: FRESH_MS,
  })
}

export function useStore(storeId: string) {
  return useQuery({
    queryKey: ['stores', storeId],
    queryFn: () => body(api.GET('/v1/stores/{store_id}', { params: { path: { store_id: storeId } } })),
    staleTime: FRESH_MS,
  })
}

interface Props {
  stores: readonly Store[]
  value: string | null
  onChange: (storeId: string) => void
  label?: string
}

/** Names are not unique: what tells two stores of one name apart stands beside it. */
export function StoreSelect({ stores, value, onChange, label }: Props) {
  const { t } = useTranslation('store')
  const data = useMemo(() => stores.map((store) => ({ value: store.store_id, label: nameOf(store) })), [stores])
  return (
    <Select
      {...(label ? { label } : { 'aria-label': t('choose_store') })}
      placeholder={t('choose_store')}
      searchable
      allowDeselect={false}
      limit={SHOWN}
      nothingFoundMessage={t('no_store')}
      data={data}
      value={value}
      onChange={(chosen) => chosen && onChange(chosen)}
      w={300}
      maw="100%"
    />
  )
}

export function nameOf(store: Pick<Store, 'name' | 'address' | 'external_id'>): string {
  return `${store.name} · ${store.address || store.external_id}`
}

import { Select } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useStore, useStoresNear } from '../queries'

interface Props {
  value: string | null
  onChange: (storeId: string | null) => void
  /** Stores near it come first. */
  near: { lat: number; lng: number } | null
  error?: string | undefined
}

/** Which store a fence belongs to. */
export function StoreSelect({ value, onChange, near, error }: Props) {
  const { t } = useTranslation('places')
  const [typed, setTyped] = useState('')
  const chosen = useStore(value).data
  // what stands in the field after choosing is no search
  const [q] = useDebouncedValue(typed === chosen?.name ? '' : typed, 200)
  const found = useStoresNear(near, { q, brand: '', category: '', openNow: false }).data?.pages[0]?.items ?? []
  const stores = chosen && !found.some((store) => store.store_id === chosen.store_id) ? [chosen, ...found] : found
  return (
    <Select
      label={t('fence.store')}
      description={t('fence.store_hint')}
      placeholder={t('fence.store_none')}
      data={stores.map((store) => ({ value: store.store_id, label: store.name }))}
      renderOption={({ option }) => {
        const store = stores.find((one) => one.store_id === option.value)
        return [option.label, store?.address ?? store?.external_id].filter(Boolean).join(' · ')
      }}
      filter={({ options }) => options}
      searchable
      clearable
      clearButtonProps={{ 'aria-label': t('clear') }}
      nothingFoundMessage={t('stores.nothing')}
      searchValue={typed}
      onSearchChange={setTyped}
      value={value}
      onChange={onChange}
      error={error}
    />
  )
}

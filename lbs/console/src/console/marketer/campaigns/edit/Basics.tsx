import { Autocomplete, SimpleGrid, TextInput } from '@mantine/core'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { useStores } from '../data'
import { TEXTS } from '../texts'
import { type SectionProps } from './fields'

export function Basics({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const stores = useStores()
  const brands = useMemo(
    () => [...new Set((stores.data ?? []).flatMap((store) => store.brand ?? []))].sort((a, b) => a.localeCompare(b)),
    [stores.data],
  )
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }}>
      <TextInput
        label={t('edit.name')}
        description={t('edit.name_hint')}
        maxLength={200}
        required
        {...form.getInputProps('name')}
      />
      <Autocomplete
        label={t('edit.brand')}
        description={t('edit.brand_hint')}
        data={brands}
        limit={20}
        maxLength={200}
        {...form.getInputProps('brand')}
        value={form.values.brand ?? ''}
      />
    </SimpleGrid>
  )
}

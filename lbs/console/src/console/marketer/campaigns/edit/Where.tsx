// Where the campaign runs: everywhere, or at chosen stores or fences, which are found by what is known of them.
import { Alert, Button, SegmentedControl, Stack, Text } from '@mantine/core'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Asked } from '@/shared/ui/Asked'
import { byName, nameOfFence, nameOfStore, useFences, useStores } from '../data'
import { TEXTS } from '../texts'
import { type SectionProps } from './fields'
import { type Place, PlacePicker } from './PlacePicker'

type Kind = 'all' | 'stores' | 'fences'

export function Where({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { stores, fences } = form.values
  const [kind, setKind] = useState<Kind>(stores.length > 0 ? 'stores' : fences.length > 0 ? 'fences' : 'all')
  const scheduled = form.values.trigger.type === 'scheduled'
  const choose = (chosen: Kind) => {
    setKind(chosen)
    if (chosen !== 'stores') form.setFieldValue('stores', [])
    if (chosen !== 'fences') form.setFieldValue('fences', [])
  }
  return (
    <Stack gap="sm">
      <SegmentedControl
        aria-label={t('edit.where.kind')}
        value={kind}
        onChange={(value) => choose(value as Kind)}
        data={[
          { value: 'all', label: t('edit.where.all') },
          { value: 'stores', label: t('edit.where.stores') },
          { value: 'fences', label: t('edit.where.fences'), disabled: scheduled },
        ]}
      />
      {kind === 'all' && <Everywhere />}
      {kind === 'stores' && <Stores form={form} />}
      {kind === 'fences' && <Fences form={form} />}
      {kind !== 'all' && stores.length + fences.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('edit.where.none_is_all')}
        </Text>
      )}
    </Stack>
  )
}

function Everywhere() {
  const { t } = useTranslation(TEXTS)
  const stores = useStores()
  return (
    <Text size="sm" c="dimmed">
      {stores.data ? t('edit.where.everywhere', { count: stores.data.length }) : ' '}
    </Text>
  )
}

function Stores({ form }: SectionProps) {
  const query = useStores()
  const named = form.values.stores
  const found = useMemo(() => byName(query.data ?? [], (store) => store.store_id), [query.data])
  const places = useMemo<Place[]>(
    () =>
      (query.data ?? []).map((store) => ({
        id: store.store_id,
        name: nameOfStore(store),
        more: [store.brand, store.address].filter(Boolean).join(' · '),
        brand: store.brand,
        categories: store.categories,
        words: `${store.name} ${store.brand ?? ''} ${store.address ?? ''} ${store.external_id}`.toLocaleLowerCase(),
        geometry: { type: 'Point', coordinates: [store.lng, store.lat] },
      })),
    [query.data],
  )
  return (
    <Asked query={query}>
      {() => (
        <Chosen
          places={places}
          named={named}
          idOf={(name) => found.get(name)?.store_id}
          onChange={(ids) => form.setFieldValue('stores', ids)}
        />
      )}
    </Asked>
  )
}

function Fences({ form }: SectionProps) {
  const query = useFences()
  const named = form.values.fences
  const found = useMemo(() => byName(query.data ?? [], (fence) => fence.fence_id), [query.data])
  const places = useMemo<Place[]>(
    () =>
      (query.data ?? []).map((fence) => ({
        id: fence.fence_id,
        name: nameOfFence(fence),
        more: fence.name ? fence.external_id : '',
        brand: null,
        categories: [],
        words: `${fence.name ?? ''} ${fence.external_id}`.toLocaleLowerCase(),
        geometry: fence.geometry as unknown as Place['geometry'],
      })),
    [query.data],
  )
  return (
    <Asked query={query}>
      {() => (
        <Chosen
          places={places}
          named={named}
          idOf={(name) => found.get(name)?.fence_id}
          onChange={(ids) => form.setFieldValue('fences', ids)}
        />
      )}
    </Asked>
  )
}

interface ChosenProps {
  places: readonly Place[]
  /** As the campaign names them: ids, or the tenant's own. */
  named: readonly string[]
  idOf: (name: string) => string | undefined
  onChange: (ids: string[]) => void
}

function Chosen({ places, named, idOf, onChange }: ChosenProps) {
  const { t } = useTranslation(TEXTS)
  const chosen = useMemo(() => new Set(named.flatMap((name) => idOf(name) ?? [])), [named, idOf])
  const gone = named.filter((name) => idOf(name) === undefined)
  return (
    <>
      {gone.length > 0 && (
        <Alert color="yellow" title={t('edit.where.gone', { count: gone.length })}>
          <Text size="sm">{gone.slice(0, 5).join(', ')}</Text>
          <Button mt="xs" size="xs" variant="light" color="yellow" onClick={() => onChange([...chosen])}>
            {t('edit.where.drop_gone')}
          </Button>
        </Alert>
      )}
      <PlacePicker places={places} chosen={chosen} onChange={onChange} />
    </>
  )
}

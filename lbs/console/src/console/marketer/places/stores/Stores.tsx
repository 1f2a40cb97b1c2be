import '../texts'
import { Autocomplete, Button, Group, Stack, Switch, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconPlus, IconSearch } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { useMay } from '@/console/session'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { LazyPlaceMap } from '../LazyPlaceMap'
import { type NearStore, useBounds, useStoresNear, type Wanted } from '../queries'
import { Row, Rows } from '../Rows'
import { MAP_HEIGHT, Split, TALL_MAP } from '../Split'
import { useTall } from '../useTall'

interface Place {
  lat: number
  lng: number
}

/** The tenant's stores: a map, and a list of those nearest to its middle. */
export default function Stores() {
  const { t } = useTranslation('places')
  const may = useMay()
  const bounds = useBounds()
  return (
    <Page
      title={t('stores.title')}
      lead={t('stores.lead')}
      actions={
        may('create_store') && (
          <>
            <Button component={Link} to="/imports?kind=stores" variant="default">
              {t('import')}
            </Button>
            <Button component={Link} to="/stores/new" leftSection={<IconPlus size={16} aria-hidden />}>
              {t('stores.new')}
            </Button>
          </>
        )
      }
    >
      <Asked query={bounds}>
        {(box) => (box === null ? <Text>{t('stores.none')}</Text> : <ListAndMap box={box} />)}
      </Asked>
    </Page>
  )
}

function ListAndMap({ box }: { box: [number, number, number, number] }) {
  const { t } = useTranslation(['places', 'shared'])
  const navigate = useNavigate()
  const tall = useTall()
  const [wanted, change] = useWanted()
  const [asked] = useDebouncedValue(wanted, 200)
  const [middle, setMiddle] = useState<Place>(() => middleOf(box))
  const [pointed, setPointed] = useState<NearStore | null>(null)
  const near = useStoresNear(middle, asked)
  const found = near.data?.pages.flatMap((page) => page.items) ?? []
  const narrowed = asked.q !== '' || asked.brand !== '' || asked.category !== '' || asked.openNow
  const listed = narrowed ? found : pointed ? [pointed] : []
  return (
    <Split
      map={
        <LazyPlaceMap
          label={t('stores.map')}
          height={tall ? TALL_MAP : MAP_HEIGHT}
          bounds={box}
          layers={{ stores: true, fences: true }}
          onStore={(storeId) => navigate(`/stores/${storeId}`)}
          onMove={setMiddle}
          marked={listed.map((store) => ({
            type: 'Feature',
            properties: { as: store === pointed ? 'place' : 'listed' },
            geometry: { type: 'Point', coordinates: [store.lng, store.lat] },
          }))}
        />
      }
      side={
        <Stack gap="sm">
          <Filters wanted={wanted} change={change} found={found} />
          <Text size="xs" c="dimmed" role="status">
            {t('stores.nearest', { count: found.length, more: near.hasNextPage ? '+' : '' })}
          </Text>
          <Asked query={near}>
            {() =>
              found.length === 0 ? (
                <Text size="sm">{t('stores.nothing')}</Text>
              ) : (
                <Rows label={t('stores.title')}>
                  {found.map((store) => (
                    <StoreRow
                      key={store.store_id}
                      store={store}
                      onPoint={(on) => setPointed((before) => (on ? store : before === store ? null : before))}
                    />
                  ))}
                </Rows>
              )
            }
          </Asked>
          {near.hasNextPage && (
            <Button variant="default" loading={near.isFetchingNextPage} onClick={() => void near.fetchNextPage()}>
              {t('shared:more')}
            </Button>
          )}
        </Stack>
      }
    />
  )
}

function StoreRow({ store, onPoint }: { store: NearStore; onPoint: (on: boolean) => void }) {
  const format = useFormat()
  const about = [store.brand, store.categories.join(', '), store.address].filter(Boolean).join(' · ')
  return (
    <Row
      to={`/stores/${store.store_id}`}
      title={store.name}
      note={about || store.external_id}
      end={format.distance(store.distance_m)}
      onPoint={onPoint}
    />
  )
}

function Filters({
  wanted,
  change,
  found,
}: {
  wanted: Wanted
  change: (part: Partial<Wanted>) => void
  found: readonly NearStore[]
}) {
  const { t } = useTranslation(['places', 'shared'])
  const sorted = (values: (string | null)[]) =>
    [...new Set(values.filter((value) => value !== null))].sort((a, b) => a.localeCompare(b))
  return (
    <Stack gap="xs" role="search" aria-label={t('stores.search')}>
      <TextInput
        aria-label={t('shared:search')}
        placeholder={t('stores.search_hint')}
        type="search"
        leftSection={<IconSearch size={16} aria-hidden />}
        value={wanted.q}
        onChange={(event) => change({ q: event.currentTarget.value })}
      />
      <Group gap="xs" grow>
        <Autocomplete
          aria-label={t('store.brand')}
          placeholder={t('store.brand')}
          data={sorted(found.map((store) => store.brand))}
          value={wanted.brand}
          onChange={(brand) => change({ brand })}
          clearable
          clearButtonProps={{ 'aria-label': t('clear') }}
          limit={30}
        />
        <Autocomplete
          aria-label={t('store.category')}
          placeholder={t('store.category')}
          data={sorted(found.flatMap((store) => store.categories))}
          value={wanted.category}
          onChange={(category) => change({ category })}
          clearable
          clearButtonProps={{ 'aria-label': t('clear') }}
          limit={30}
        />
      </Group>
      <Switch
        size="sm"
        label={t('stores.open_now')}
        checked={wanted.openNow}
        onChange={(event) => change({ openNow: event.currentTarget.checked })}
      />
    </Stack>
  )
}

/** Kept in the address, so that it can be shared. */
function useWanted(): [Wanted, (part: Partial<Wanted>) => void] {
  const [params, set] = useSearchParams()
  const wanted: Wanted = {
    q: params.get('q') ?? '',
    brand: params.get('brand') ?? '',
    category: params.get('category') ?? '',
    openNow: params.get('open') === '1',
  }
  const change = (part: Partial<Wanted>) => {
    const next = { ...wanted, ...part }
    const said = { q: next.q, brand: next.brand, category: next.category, open: next.openNow ? '1' : '' }
    set(
      Object.entries(said).filter(([, value]) => value !== ''),
      { replace: true },
    )
  }
  return [wanted, change]
}

function middleOf([west, south, east, north]: readonly [number, number, number, number]): Place {
  const lng = (west + (east < west ? east + 360 : east)) / 2
  return { lat: (south + north) / 2, lng: lng > 180 ? lng - 360 : lng }
}

import {
  Button,
  Chip,
  CloseButton,
  Group,
  NativeSelect,
  SegmentedControl,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconMapPin, IconSearch } from '@tabler/icons-react'
import { lazy, Suspense, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { OfferCard } from './OfferCard'
import { type Filters, type Sort, useNearby } from './offers'
import { PickPlace } from './PickPlace'
import { SharingNote } from './Sharing'
import { useChosen, useOrigin } from './where'

const NearbyMap = lazy(() => import('./NearbyMap'))
const SORTS: readonly Sort[] = ['distance', 'value', 'ends_soon']

export default function Nearby() {
  const { t } = useTranslation('app')
  const { set: choose } = useChosen()
  const { origin, at, chosen } = useOrigin()
  const [params, setParams] = useSearchParams()
  const [picking, setPicking] = useState(false)
  const filters: Filters = {
    q: params.get('q') ?? '',
    open: params.has('open'),
    category: params.get('category') ?? '',
    sort: SORTS.find((one) => one === params.get('sort')) ?? 'distance',
  }
  const map = params.get('view') === 'map'
  const put = (name: string, value: string) =>
    setParams(
      (before) => {
        if (value) before.set(name, value)
        else before.delete(name)
        return before
      },
      { replace: true },
    )
  const found = useNearby(origin, filters)
  const items = found.data?.pages.flatMap((page) => page.items) ?? []

  return (
    <Page title={t('nearby.title')}>
      <Stack gap="xs" mt={-8}>
        <SharingNote />
        <Group gap="xs">
          <Button
            size="compact-sm"
            variant="light"
            leftSection={<IconMapPin size={14} aria-hidden />}
            onClick={() => setPicking(true)}
          >
            {chosen ? t('place.near', { name: chosen.name }) : t('place.choose')}
          </Button>
          {chosen && <CloseButton size="sm" aria-label={t('place.forget')} onClick={() => choose(null)} />}
        </Group>
        <Search filters={filters} put={put} items={items} />
        <SegmentedControl
          aria-label={t('nearby.view')}
          value={map ? 'map' : 'list'}
          onChange={(view) => put('view', view === 'map' ? view : '')}
          data={[
            { value: 'list', label: t('nearby.list') },
            { value: 'map', label: t('nearby.map') },
          ]}
        />
      </Stack>
      <PickPlace opened={picking} onClose={() => setPicking(false)} />
      {origin === null ? (
        <Stack align="flex-start">
          <Text>{t('nearby.nowhere')}</Text>
          <Button onClick={() => setPicking(true)}>{t('place.choose')}</Button>
        </Stack>
      ) : found.isError && !found.data ? (
        <ProblemNote error={found.error} retry={() => void found.refetch()} />
      ) : found.isPending ? (
        <SimpleGrid cols={{ base: 1, sm: 2 }} role="status" aria-label={t('shared:loading')}>
          {[1, 2, 3, 4].map((one) => (
            <Skeleton key={one} h={130} />
          ))}
        </SimpleGrid>
      ) : map ? (
        <Suspense fallback={<Skeleton h={400} />}>
          <NearbyMap items={items} at={at} />
        </Suspense>
      ) : (
        <>
          <Text size="sm" c="dimmed" role="status" className={items.length ? 'visually-hidden' : ''}>
            {items.length ? t('nearby.found', { count: items.length }) : t('nearby.nothing')}
          </Text>
          <SimpleGrid cols={{ base: 1, sm: 2 }}>
            {items.map((store) => (
              <OfferCard key={store.store_id} store={store} />
            ))}
          </SimpleGrid>
        </>
      )}
      {origin !== null && found.hasNextPage && (
        <Button variant="default" loading={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
          {t('shared:more')}
        </Button>
      )}
    </Page>
  )
}

interface SearchProps {
  filters: Filters
  put: (name: string, value: string) => void
  items: readonly { categories: readonly string[] }[]
}

function Search({ filters, put, items }: SearchProps) {
  const { t } = useTranslation('app')
  const [text, setText] = useState(filters.q)
  const search = useDebouncedCallback((value: string) => put('q', value.trim()), 300)
  // whatever was seen so far: a filter must not take its own alternatives away
  const seen = useRef(new Set<string>())
  for (const item of items) for (const category of item.categories) seen.current.add(category)
  if (filters.category) seen.current.add(filters.category)
  return (
    <>
      <TextInput
        type="search"
        aria-label={t('nearby.search')}
        placeholder={t('nearby.search')}
        leftSection={<IconSearch size={16} aria-hidden />}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value)
          search(event.currentTarget.value)
        }}
      />
      <Group gap={6} wrap="nowrap">
        <Chip
          size="sm"
          styles={{ label: { paddingInline: 12 } }}
          checked={filters.open}
          onChange={(open) => put('open', open ? '1' : '')}
        >
          {t('nearby.open_now')}
        </Chip>
        <NativeSelect
          aria-label={t('nearby.category')}
          value={filters.category}
          onChange={(event) => put('category', event.currentTarget.value)}
          data={[
            { value: '', label: t('nearby.any_category') },
            ...[...seen.current].sort().map((one) => ({ value: one, label: one.replaceAll('_', ' ') })),
          ]}
          size="sm"
          flex={1}
          miw={0}
        />
        <NativeSelect
          aria-label={t('nearby.sort')}
          value={filters.sort}
          onChange={(event) => put('sort', event.currentTarget.value === 'distance' ? '' : event.currentTarget.value)}
          data={SORTS.map((one) => ({ value: one, label: t(`nearby.sorts.${one}`) }))}
          size="sm"
          flex={1}
          miw={0}
        />
      </Group>
    </>
  )
}

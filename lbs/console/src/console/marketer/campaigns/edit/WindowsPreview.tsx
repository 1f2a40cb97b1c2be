// The next times that windows are on at a store, as the service itself reckons them.
import { List, Paper, Select, Stack, Text, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body, Problem } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { useStores } from '../data'
import { type StoreView, type Windows } from '../model'
import { TEXTS } from '../texts'

const N = 10
const SETTLE_MS = 400

interface Props {
  windows: Windows
  /** The stores of the campaign, as it names them. */
  named: readonly string[]
}

export function WindowsPreview({ windows, named }: Props) {
  const { t } = useTranslation(TEXTS)
  const stores = useStores()
  const [chosen, setChosen] = useState<string | null>(null)
  const mine = useMemo(() => {
    const names = new Set(named)
    const all = stores.data ?? []
    return named.length > 0 ? all.filter((one) => names.has(one.store_id) || names.has(one.external_id)) : all
  }, [stores.data, named])
  const store = mine.find((one) => one.store_id === chosen) ?? mine[0]
  return (
    <Paper withBorder p="sm" radius="sm" bg="var(--mantine-color-default-hover)">
      <Stack gap="xs">
        <Title order={3} size="h6">
          {t('edit.next.title', { n: N })}
        </Title>
        <StoreSelect label={t('edit.next.store')} stores={mine} value={store?.store_id ?? null} onChange={setChosen} />
        {store && <Next windows={windows} store={store} />}
      </Stack>
    </Paper>
  )
}

interface SelectProps {
  label: string
  stores: readonly StoreView[]
  value: string | null
  onChange: (storeId: string | null) => void
  clearable?: boolean
  required?: boolean
  description?: string
  placeholder?: string
}

/** One of the stores, found by its name. */
export function StoreSelect({ stores, ...more }: SelectProps) {
  const { t } = useTranslation(TEXTS)
  const data = useMemo(
    () =>
      stores.map((one) => ({ value: one.store_id, label: one.address ? `${one.name} · ${one.address}` : one.name })),
    [stores],
  )
  return <Select data={data} searchable limit={50} nothingFoundMessage={t('edit.where.nothing')} {...more} />
}

function Next({ windows, store }: { windows: Windows; store: StoreView }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const [settled] = useDebouncedValue(JSON.stringify(windows), SETTLE_MS)
  const query = useQuery({
    queryKey: ['windows', store.store_id, settled],
    queryFn: ({ signal }) =>
      body(
        api.POST('/v1/campaigns/windows', {
          body: { windows: JSON.parse(settled), store_id: store.store_id, n: N },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
    retry: false,
  })
  if (query.error) {
    const words = query.error instanceof Problem ? query.error.detail : query.error.message
    return (
      <Text size="sm" c="red" role="status">
        {words.replaceAll('body.windows.', '')}
      </Text>
    )
  }
  if (!query.data) return null
  const { timezone, items } = query.data
  return (
    <div aria-live="polite">
      <Text size="xs" c="dimmed" mb={4}>
        {t('edit.next.zone', { zone: timezone })}
      </Text>
      {items.length === 0 && <Text size="sm">{t('edit.next.never')}</Text>}
      <List size="sm" listStyleType="none" spacing={2}>
        {items.map(({ starts_at, ends_at }) => (
          <List.Item key={starts_at}>
            {f.weekday(starts_at, timezone)} {f.time(starts_at, timezone)} –{' '}
            {ends_at === null
              ? t('edit.next.no_end')
              : `${sameDay(starts_at, ends_at) ? '' : `${f.weekday(ends_at, timezone)} `}${f.time(ends_at, timezone)}`}
          </List.Item>
        ))}
      </List>
      {items.length === 1 && items[0]?.ends_at === null && (
        <Text size="xs" c="dimmed">
          {t('edit.next.always')}
        </Text>
      )}
    </div>
  )
}

/** The API writes instants in the store's own time, so their first ten letters are its day. */
const sameDay = (one: string, other: string) => one.slice(0, 10) === other.slice(0, 10)

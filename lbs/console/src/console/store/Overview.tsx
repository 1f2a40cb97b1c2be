// All stores in one period, for those who look after several. Who has one store is taken to it.
import { Anchor, Button, Group, ScrollArea, SegmentedControl, Stack, Table, Text, TextInput } from '@mantine/core'
import { IconDownload, IconSearch } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, Navigate, useSearchParams } from 'react-router'
import { api, body, everything, type Schemas } from '@/shared/api/client'
import { asCsv, save } from '@/shared/api/download'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { useSession } from '../session'
import './texts'
import { PeriodNav, usePeriod } from './traffic/PeriodNav'
import { SortHead, type Sorting, useSorting } from './traffic/SortHead'

type Row = Schemas['StoreFigures']

const COLUMNS = ['visits', 'visitors', 'new_visitors', 'returning_visitors', 'median_dwell_s'] as const
type Column = 'name' | (typeof COLUMNS)[number]

const PAGE = 1000
const SHOWN = 100

export default function Overview() {
  const { store_ids: own } = useSession()
  const [params] = useSearchParams()
  if (own.length === 1) return <Navigate to={`/dashboard/${own[0]}?${params}`} replace />
  return <AllStores />
}

function AllStores() {
  const { t } = useTranslation('store')
  const { dateTime } = useFormat()
  // the stores may lie in several zones: the calendar is the reader's, each store's figures are of its own days
  const { period, tab, today, show } = usePeriod(Intl.DateTimeFormat().resolvedOptions().timeZone)
  const query = useQuery({
    // today is each store's own: which day that is the answer says
    queryKey: ['traffic', 'overview', period.grain, tab === 'today' ? null : period.first],
    queryFn: async () => {
      let k = 0
      let asOf = ''
      const items = await everything(async (cursor) => {
        const page = await body(
          api.GET('/v1/traffic/stores', {
            params: {
              query: {
                ...(tab === 'today' ? {} : { date: period.first }),
                grain: period.grain,
                limit: PAGE,
                ...(cursor ? { cursor } : {}),
              },
            },
          }),
        )
        k = page.k
        asOf = page.as_of
        return page
      })
      return { items, k, asOf }
    },
    placeholderData: keepPreviousData,
  })
  return (
    <Page
      title={t('overview.title')}
      lead={query.data ? t('as_of', { at: dateTime(query.data.asOf) }) : t('overview.lead')}
      actions={
        query.data && (
          <Button
            variant="default"
            leftSection={<IconDownload size={16} aria-hidden />}
            onClick={() => save(csvOf(query.data.items), `stores-${period.grain}-${period.first}.csv`)}
          >
            CSV
          </Button>
        )
      }
    >
      <PeriodNav tab={tab} period={period} today={today} show={show} />
      <Asked query={query}>{({ items, k }) => <Stores items={items} k={k} day={period.first} />}</Asked>
    </Page>
  )
}

interface StoresProps {
  items: readonly Row[]
  k: number
  /** The reader's: a store where it is another day says so. */
  day: string
}

function Stores({ items, k, day }: StoresProps) {
  const { t } = useTranslation(['store', 'shared'])
  const { date, number, duration } = useFormat()
  const [params] = useSearchParams()
  const [text, setText] = useState('')
  const [most, setMost] = useState(SHOWN)
  const sorting = useSorting<Column>({ by: 'visits', down: true })
  const wanted = text.trim().toLowerCase()
  const found = items.filter((row) => !wanted || `${row.name} ${row.external_id}`.toLowerCase().includes(wanted))
  const sorted = [...found].sort(order(sorting))
  const told = (value: number | null, write: (value: number) => string) =>
    value === null ? (
      <Text span size="sm" c="dimmed">
        {t('shared:withheld', { k })}
      </Text>
    ) : (
      write(value)
    )
  return (
    <Stack>
      <Group justify="space-between">
        <TextInput
          aria-label={t('shared:search')}
          placeholder={t('shared:search')}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          w={280}
          maw="100%"
        />
        <SegmentedControl
          hiddenFrom="sm"
          aria-label={t('overview.sort')}
          size="xs"
          value={sorting.by}
          onChange={(by) => sorting.sort(by as Column)}
          data={['name', 'visits', 'visitors'].map((column) => ({ value: column, label: t(`figure.${column}`) }))}
        />
      </Group>
      <Text size="sm" c="dimmed" role="status">
        {t('overview.found', { count: found.length })} · {t('shared:withheld_why', { k })}
      </Text>
      <ScrollArea type="auto" viewportProps={{ tabIndex: 0, 'aria-label': t('overview.title'), role: 'region' }}>
        <Table striped highlightOnHover verticalSpacing="xs" miw={640}>
          <Table.Thead>
            <Table.Tr>
              {(['name', ...COLUMNS] as const).map((column) => (
                <SortHead key={column} column={column} sorting={sorting} right={column !== 'name'}>
                  {t(`figure.${column}`)}
                </SortHead>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sorted.slice(0, most).map((row) => (
              <Table.Tr key={row.store_id}>
                <Table.Th scope="row" fw={500}>
                  <Anchor component={Link} to={`/dashboard/${row.store_id}?${params}`}>
                    {row.name || row.external_id}
                  </Anchor>
                  {row.date !== day && (
                    <Text size="xs" c="dimmed">
                      {date(row.date, 'UTC')}
                    </Text>
                  )}
                </Table.Th>
                {COLUMNS.map((column) => (
                  <Table.Td key={column} ta="right">
                    {told(row[column], column === 'median_dwell_s' ? duration : number)}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
      {sorted.length > most && (
        <Button variant="light" onClick={() => setMost(most + SHOWN)}>
          {t('shared:more')}
        </Button>
      )}
    </Stack>
  )
}

/** What is withheld comes last, whichever way one looks. */
function order({ by, down }: Sorting<Column>) {
  const way = down ? -1 : 1
  return (a: Row, b: Row) => {
    if (by === 'name') return way * a.name.localeCompare(b.name)
    const [left, right] = [a[by], b[by]]
    if (left === null || right === null) return Number(left === null) - Number(right === null)
    return way * (left - right)
  }
}

function csvOf(items: readonly Row[]): Blob {
  const columns = ['store_id', 'external_id', 'name', 'timezone', 'date', 'starts_at', 'ends_at', ...COLUMNS] as const
  return asCsv([columns, ...items.map((row) => columns.map((column) => row[column]))])
}

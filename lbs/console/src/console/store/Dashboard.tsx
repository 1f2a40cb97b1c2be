// One store's dashboard: who is inside, who came, how long they stayed, what they redeemed, and where they were around it.
import { Button, Grid, Menu, Paper, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconDownload, IconPrinter } from '@tabler/icons-react'
import { lazy, type ReactNode, Suspense, useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate, useParams, useSearchParams } from 'react-router'
import { download } from '@/shared/api/download'
import { Asked, Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { useWords } from '@/shared/ui/ProblemNote'
import { type Store, StoreSelect, useStore, useStores } from './stores'
import './texts'
import { DwellPanel } from './traffic/DwellPanel'
import { HoursPanel } from './traffic/HoursPanel'
import { Live } from './traffic/Live'
import { OffersPanel } from './traffic/OffersPanel'
import { PeriodNav, usePeriod, usePeriodLabel } from './traffic/PeriodNav'
import type { Period } from './traffic/period'
import { SummaryPanel } from './traffic/SummaryPanel'

const HeatPanel = lazy(() => import('./traffic/HeatPanel'))

export default function Dashboard() {
  const { storeId = '' } = useParams()
  const query = useStore(storeId)
  return <Asked query={query}>{(store) => <OfStore key={store.store_id} store={store} />}</Asked>
}

function OfStore({ store }: { store: Store }) {
  const { t } = useTranslation('store')
  const label = usePeriodLabel()
  const { tab, period, today, show } = usePeriod(store.timezone)
  usePaper()
  const moving = period.after > today
  return (
    <Page
      title={store.name || store.external_id}
      lead={`${store.address ? `${store.address} · ` : ''}${label(period)} · ${t('zone', { zone: store.timezone })}`}
      actions={
        <>
          <OtherStore store={store} />
          <Export store={store} period={period} />
        </>
      }
    >
      <PeriodNav tab={tab} period={period} today={today} show={show} />
      <SummaryPanel store={store} period={period} moving={moving} live={tab === 'today' && <Live store={store} />} />
      <Panel title={t(period.grain === 'day' ? 'hours.title' : 'days.title')}>
        <HoursPanel store={store} period={period} isToday={tab === 'today'} moving={moving} />
      </Panel>
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Panel title={t('dwell.title')}>
            <DwellPanel store={store} period={period} />
          </Panel>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Panel title={t('offers.title')}>
            <OffersPanel store={store} />
          </Panel>
        </Grid.Col>
      </Grid>
      <Panel title={t('heat.title')}>
        <Suspense fallback={<Loading />}>
          <HeatPanel store={store} period={period} />
        </Suspense>
      </Panel>
      <Definitions />
    </Page>
  )
}

function Panel({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Paper withBorder p="md" component="section" aria-label={title} h="100%">
      <Title order={2} size="h4" mb="sm">
        {title}
      </Title>
      {children}
    </Paper>
  )
}

function OtherStore({ store }: { store: Store }) {
  const query = useStores()
  const navigate = useNavigate()
  const [params] = useSearchParams()
  if (!query.data || query.data.length < 2) return null
  return (
    <div className="no-print">
      <StoreSelect
        stores={query.data}
        value={store.store_id}
        onChange={(storeId) => void navigate(`/dashboard/${storeId}?${params}`)}
      />
    </div>
  )
}

/** The figures as files: hours of a day, else days. */
function Export({ store, period }: { store: Store; period: Period }) {
  const { t } = useTranslation('store')
  const words = useWords()
  const grain = period.grain === 'day' ? 'hour' : 'day'
  const get = (format: 'csv' | 'parquet') =>
    download(
      `/v1/traffic/stores/${store.store_id}/series?grain=${grain}&from=${period.first}&to=${period.after}&format=${format}`,
      `traffic-${store.external_id.replace(/[^\w-]+/g, '_')}-${period.grain}-${period.first}.${format}`,
    ).catch((error: unknown) => notifications.show({ color: 'red', message: words(error) }))
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button className="no-print" variant="default" leftSection={<IconDownload size={16} aria-hidden />}>
          {t('export')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void get('csv')}>CSV</Menu.Item>
        <Menu.Item onClick={() => void get('parquet')}>Parquet</Menu.Item>
        <Menu.Item leftSection={<IconPrinter size={16} aria-hidden />} onClick={() => window.print()}>
          {t('print')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}

function Definitions() {
  const { t } = useTranslation('store')
  return (
    <Paper withBorder p="md" component="section" aria-label={t('words.title')}>
      <Title order={2} size="h4" mb="xs">
        {t('words.title')}
      </Title>
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="xs" component="dl" m={0}>
        {(['visit', 'visitor', 'new', 'capture', 'conversion', 'withheld'] as const).map((word) => (
          <Stack key={word} gap={0}>
            <Text component="dt" size="sm" fw={600}>
              {t(`words.${word}`)}
            </Text>
            <Text component="dd" m={0} size="sm" c="dimmed">
              {t(`words.${word}_is`)}
            </Text>
          </Stack>
        ))}
      </SimpleGrid>
    </Paper>
  )
}

/** Paper is light, whatever the screen is. */
function usePaper() {
  useEffect(() => {
    const root = document.documentElement
    const name = 'data-mantine-color-scheme'
    let before: string | null = null
    const lighten = () => {
      before = root.getAttribute(name)
      root.setAttribute(name, 'light')
    }
    const restore = () => before !== null && root.setAttribute(name, before)
    window.addEventListener('beforeprint', lighten)
    window.addEventListener('afterprint', restore)
    return () => {
      window.removeEventListener('beforeprint', lighten)
      window.removeEventListener('afterprint', restore)
    }
  }, [])
}

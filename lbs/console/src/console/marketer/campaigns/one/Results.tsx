// The funnel, which refreshes itself, in all and by hour, day or store.
import { Button, Group, SegmentedControl, Select, SimpleGrid, Stack, Text } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { type Schemas } from '@/shared/api/client'
import { Bars } from '@/shared/charts'
import { useFormat } from '@/shared/format'
import { INK } from '@/shared/theme'
import { Asked } from '@/shared/ui/Asked'
import { useQueryParams } from '../asked'
import { byName, useReport, useStores } from '../data'
import { download } from '../download'
import { type CampaignView, HOUR_S } from '../model'
import { TEXTS } from '../texts'
import { instantIn } from '../zoned'
import { Funnel, Reasons } from './Funnel'
import { Section } from './Overview'
import { StoreRows } from './StoreRows'

type By = 'hour' | 'day' | 'store'
type Row = Schemas['FunnelRow']
const PERIODS = ['all', '1', '7', '30', '90'] as const
const CHANNELS = ['inbox', 'webpush', 'webhook', 'apns', 'fcm'] as const
const LIVE_MS = 10_000
const RESTING_MS = 120_000

export function Results({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const { asked, ask } = useQueryParams()
  const stores = useStores()
  const by = (['hour', 'day', 'store'] as const).find((one) => one === asked.get('by')) ?? 'day'
  const period = PERIODS.find((one) => one === asked.get('period')) ?? '7'
  const channel = CHANNELS.find((one) => one === asked.get('channel')) ?? null
  const zone = useMemo(() => {
    const found = byName(stores.data ?? [], (one) => one.store_id).get(campaign.stores[0] ?? '') ?? stores.data?.[0]
    return found?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone
  }, [stores.data, campaign.stores])
  const from = period === 'all' ? beginOf(campaign, by, zone) : daysBack(zone, Number(period))
  const query = {
    by,
    from,
    ...(channel ? { channel } : {}),
    ...(by === 'store' ? { limit: 1000 } : {}),
  }
  const live = campaign.status === 'live'
  const report = useReport(campaign.campaign_id, query, { everyMs: live ? LIVE_MS : RESTING_MS })
  const file = () => download(campaign.campaign_id, query, `report-${campaign.campaign_id}-by-${by}.csv`)
  return (
    <Stack gap="md">
      <Group gap="sm" justify="space-between">
        <Group gap="sm">
          <SegmentedControl
            aria-label={t('results.by')}
            value={by}
            onChange={(value) => ask({ by: value === 'day' ? null : value })}
            data={(['hour', 'day', 'store'] as const).map((one) => ({ value: one, label: t(`results.by_${one}`) }))}
          />
          <Select
            aria-label={t('results.period')}
            w={150}
            allowDeselect={false}
            value={period}
            onChange={(value) => ask({ period: value === '7' ? null : value })}
            data={PERIODS.filter((one) => by !== 'hour' || one !== 'all').map((one) => ({
              value: one,
              label: t(`results.periods.${one}`),
            }))}
          />
          <Select
            aria-label={t('results.channel')}
            w={170}
            clearable
            placeholder={t('results.any_channel')}
            value={channel}
            onChange={(value) => ask({ channel: value })}
            data={CHANNELS.map((one) => ({ value: one, label: t(`channel.${one}`) }))}
          />
        </Group>
        <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} onClick={() => void file()}>
          CSV
        </Button>
      </Group>
      <Asked query={report}>
        {(found) => (
          <>
            <Text size="xs" c="dimmed" aria-live="off">
              {t(live ? 'results.live' : 'results.at', {
                time: f.time(new Date(report.dataUpdatedAt)),
                zone,
              })}
            </Text>
            <SimpleGrid cols={{ base: 1, md: 2 }}>
              <Section title={t('results.funnel')}>
                <Funnel funnel={found.funnel} k={found.k} />
              </Section>
              <Section title={t('results.reasons')}>
                <Reasons funnel={found.funnel} />
              </Section>
            </SimpleGrid>
            <Section title={t(`results.title_${by}`)}>
              {found.items.length === 0 ? (
                <Text size="sm" c="dimmed">
                  {t('results.nothing')}
                </Text>
              ) : by === 'store' ? (
                <StoreRows rows={found.items} k={found.k} more={found.next_cursor != null} />
              ) : (
                <Chart rows={found.items} by={by} k={found.k} />
              )}
            </Section>
          </>
        )}
      </Asked>
    </Stack>
  )
}

/** Midnight of a store's zone so many days back, today counting as one. */
function daysBack(zone: string, days: number): string {
  const wall = new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(Date.now() - (days - 1) * 24 * HOUR_S * 1000)
  return instantIn(zone, `${wall} 00:00`)
}

/** Reports by hour and day have an end; a campaign has no decision before the day it was written. */
function beginOf(campaign: CampaignView, by: By, zone: string): string {
  if (by === 'hour') return daysBack(zone, 90)
  const wall = new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(new Date(campaign.created_at))
  return instantIn(zone, `${wall} 00:00`)
}

/** Wall times of the rows, those in between without a decision too. */
function steps(rows: readonly Row[], by: 'hour' | 'day'): { wall: number; row: Row | null }[] {
  const size = (by === 'hour' ? HOUR_S : 24 * HOUR_S) * 1000
  const found: { wall: number; row: Row | null }[] = []
  for (const row of rows) {
    const wall = Date.parse(by === 'hour' ? `${row.period?.slice(0, 16)}Z` : `${row.period}T00:00Z`)
    for (let at = (found.at(-1)?.wall ?? wall) + size; at < wall; at += size) found.push({ wall: at, row: null })
    found.push({ wall, row })
  }
  return found
}

function Chart({ rows, by, k }: { rows: readonly Row[]; by: 'hour' | 'day'; k: number }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const all = steps(rows, by)
  const label = (wall: number) =>
    by === 'day'
      ? f.weekday(new Date(wall), 'UTC')
      : `${f.weekday(new Date(wall), 'UTC')} ${f.time(new Date(wall), 'UTC')}`
  const series = (name: 'offered' | 'opened' | 'visited' | 'redeemed', color: string) => ({
    name: t(`funnel.${name}`),
    color,
    values: all.map(({ row }) => (row === null ? 0 : (row[name] ?? null))),
  })
  return (
    <Bars
      title={t(`results.title_${by}`)}
      labels={all.map(({ wall }) => label(wall))}
      series={[
        series('offered', INK.place),
        series('opened', INK.fresh),
        series('visited', INK.back),
        series('redeemed', INK.offer),
      ]}
      k={k}
      format={f.number}
    />
  )
}

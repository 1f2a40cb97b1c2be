// The figures of a period, each beside that of the period before.
import { Box, SimpleGrid, Text, VisuallyHidden } from '@mantine/core'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Figure } from '@/shared/ui/Figure'
import type { Store } from '../stores'
import { beside, type Period } from './period'
import { type Figures, useSeries, useToday } from './questions'

interface Props {
  store: Store
  period: Period
  moving: boolean
  /** What stands before the figures. */
  live: ReactNode
}

export function SummaryPanel({ store, period, moving, live }: Props) {
  const { t } = useTranslation('store')
  const { time, date } = useFormat()
  const before = beside(period, -1)
  const query = useSeries(store.store_id, period.grain, before.first, period.after, moving)
  return (
    <Asked query={query}>
      {({ items, k, as_of: asOf }) => {
        const now = items.at(-1)
        if (now === undefined) return null
        return (
          <Box component="section" aria-label={t('figures')}>
            <SimpleGrid cols={{ base: 2, lg: live ? 5 : 3 }} spacing="sm">
              {live}
              <Told store={store} now={now} before={items.at(-2)} moving={moving} k={k} grain={period.grain} />
            </SimpleGrid>
            <Text size="xs" c="dimmed" mt="xs">
              {t('as_of', { at: `${date(asOf, store.timezone)}, ${time(asOf, store.timezone)}` })}
              {moving && ` · ${t('so_far')}`} · {t('rounded', { k })}
            </Text>
          </Box>
        )
      }}
    </Asked>
  )
}

interface ToldProps {
  store: Store
  now: Figures
  before: Figures | undefined
  moving: boolean
  k: number
  grain: Period['grain']
}

function Told({ store, now, before, moving, k, grain }: ToldProps) {
  const { t } = useTranslation('store')
  const { number, share, duration, money } = useFormat()
  const isToday = moving && grain === 'day'
  const usual = useToday(store.store_id, isToday).data?.usual

  /** A day that has not ended is compared with what is usual for its weekday, in whole. */
  const counted = (name: 'visits' | 'visitors' | 'new_visitors' | 'returning_visitors' | 'redemptions') => {
    if (isToday) {
      const whole = name === 'visits' || name === 'visitors' ? usual?.[name] : undefined
      return whole == null ? undefined : t('usual_day', { n: number(Math.round(whole)) })
    }
    return change(now[name], before?.[name], number)
  }
  const change = (value: number | null, was: number | null | undefined, write: (value: number) => string) => {
    if (was == null) return undefined
    const text = t(`before_${grain}`, { n: write(was) })
    if (moving || value === null || was === 0) return text
    return <Change rate={value / was - 1} text={text} />
  }
  const revenue = now.revenue.map(({ amount, currency }) => money(amount, currency))
  return (
    <>
      <Figure label={t('figure.visits')} value={told(now.visits, number)} k={k} note={counted('visits')} />
      <Figure label={t('figure.visitors')} value={told(now.visitors, number)} k={k} note={counted('visitors')} />
      <Figure
        label={t('figure.new_visitors')}
        value={told(now.new_visitors, number)}
        k={k}
        note={counted('new_visitors')}
      />
      <Figure
        label={t('figure.returning_visitors')}
        value={told(now.returning_visitors, number)}
        k={k}
        note={counted('returning_visitors')}
      />
      <Figure
        label={t('figure.capture_rate')}
        value={told(now.capture_rate, share)}
        k={k}
        note={now.passers_by === null ? undefined : t('passers_by', { n: number(now.passers_by) })}
      />
      <Figure
        label={t('figure.median_dwell_s')}
        value={told(now.median_dwell_s, duration)}
        k={k}
        note={now.p90_dwell_s === null ? undefined : t('p90', { time: duration(now.p90_dwell_s) })}
      />
      <Figure label={t('figure.redemptions')} value={told(now.redemptions, number)} k={k} />
      <Figure label={t('figure.conversion')} value={told(now.conversion, share)} k={k} note={t('conversion_is')} />
      <Figure label={t('figure.revenue')} value={revenue.length > 0 ? revenue.join(' · ') : null} k={k} />
    </>
  )
}

function told(value: number | null, write: (value: number) => string): string | null {
  return value === null ? null : write(value)
}

const SAME = 0.005

function Change({ rate, text }: { rate: number; text: string }) {
  const { t } = useTranslation('store')
  const { share } = useFormat()
  const way = Math.abs(rate) < SAME ? 'same' : rate > 0 ? 'up' : 'down'
  return (
    <>
      <Text span inherit fw={600} aria-hidden>
        {way === 'same' ? '=' : way === 'up' ? '↑' : '↓'} {share(Math.abs(rate))}
      </Text>
      <VisuallyHidden>{t(`change.${way}`, { share: share(Math.abs(rate)) })}</VisuallyHidden>
      {` · ${text}`}
    </>
  )
}

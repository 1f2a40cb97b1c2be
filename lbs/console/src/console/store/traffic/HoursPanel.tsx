// Visits over the period: by hour of a day (beside the usual day while it is today), else by day, new and returning.
import { Alert, Text } from '@mantine/core'
import { IconClockEdit } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { Bars } from '@/shared/charts'
import { useFormat } from '@/shared/format'
import { INK } from '@/shared/theme'
import { Asked } from '@/shared/ui/Asked'
import type { Store } from '../stores'
import { hoursBetween, type Period } from './period'
import { useSeries, useToday } from './questions'

interface Props {
  store: Store
  period: Period
  isToday: boolean
  moving: boolean
}

const USUAL_HOURS = 24

export function HoursPanel(props: Props) {
  if (props.isToday) return <TodayByHour {...props} />
  return props.period.grain === 'day' ? <DayByHour {...props} /> : <ByDay {...props} />
}

function TodayByHour({ store }: Props) {
  const { t } = useTranslation('store')
  const { number } = useFormat()
  const hour = useHourLabels(store)
  const query = useToday(store.store_id, true)
  return (
    <Asked query={query}>
      {({ hours, day, k, as_of: asOf }) => (
        <>
          <ClockNote startsAt={day.starts_at} endsAt={day.ends_at} />
          <Bars
            title={t('hours.of_today', { store: store.name })}
            k={k}
            format={number}
            labels={hour(hours.map((one) => one.starts_at))}
            series={[
              {
                name: t('figure.visits'),
                color: INK.place,
                values: hours.map((one) => (one.starts_at > asOf ? undefined : one.visits)),
              },
              {
                name: t('hours.usual'),
                color: INK.usual,
                as: 'line',
                values: hours.map((one) => one.usual_visits ?? undefined),
              },
            ]}
          />
          <Text size="xs" c="dimmed">
            {t('hours.usual_is')} {t('withheld_bars', { k })}
          </Text>
        </>
      )}
    </Asked>
  )
}

function DayByHour({ store, period, moving }: Props) {
  const { t } = useTranslation('store')
  const { number } = useFormat()
  const hour = useHourLabels(store)
  const query = useSeries(store.store_id, 'hour', period.first, period.after, moving)
  return (
    <Asked query={query}>
      {({ items, k }) => (
        <>
          <ClockNote startsAt={items[0]?.starts_at} endsAt={items.at(-1)?.ends_at} />
          <Bars
            title={t('hours.of_day', { store: store.name })}
            k={k}
            format={number}
            labels={hour(items.map((one) => one.starts_at))}
            series={[{ name: t('figure.visits'), color: INK.place, values: items.map((one) => one.visits) }]}
          />
          <Text size="xs" c="dimmed">
            {t('withheld_bars', { k })}
          </Text>
        </>
      )}
    </Asked>
  )
}

function ByDay({ store, period, moving }: Props) {
  const { t } = useTranslation('store')
  const { number, weekday } = useFormat()
  const query = useSeries(store.store_id, 'day', period.first, period.after, moving)
  return (
    <Asked query={query}>
      {({ items, k, as_of: asOf }) => {
        const of = (name: 'new_visitors' | 'returning_visitors' | 'visitors') =>
          items.map((one) => (Date.parse(one.starts_at) > Date.parse(asOf) ? undefined : one[name]))
        return (
          <>
            <Bars
              title={t('days.of', { store: store.name })}
              k={k}
              format={number}
              labels={items.map((one) => weekday(one.starts_at, store.timezone))}
              series={[
                { name: t('figure.new_visitors'), color: INK.fresh, stack: 'visitors', values: of('new_visitors') },
                {
                  name: t('figure.returning_visitors'),
                  color: INK.back,
                  stack: 'visitors',
                  values: of('returning_visitors'),
                },
                { name: t('figure.visitors'), color: INK.usual, as: 'line', values: of('visitors') },
              ]}
            />
            <Text size="xs" c="dimmed">
              {t('withheld_bars', { k })}
            </Text>
          </>
        )
      }}
    </Asked>
  )
}

/** Why a day has 23 or 25 bars. */
function ClockNote({ startsAt, endsAt }: { startsAt: string | undefined; endsAt: string | undefined }) {
  const { t } = useTranslation('store')
  if (!startsAt || !endsAt) return null
  const hours = hoursBetween(startsAt, endsAt)
  if (hours === USUAL_HOURS) return null
  return (
    <Alert mb="sm" color="blue" icon={<IconClockEdit aria-hidden />}>
      {t(hours < USUAL_HOURS ? 'hours.short' : 'hours.long', { hours })}
    </Alert>
  )
}

/** Hours as a clock in the store shows them; an hour that comes twice says which it is by its offset. */
function useHourLabels(store: Store) {
  const { time } = useFormat()
  return (starts: readonly string[]): string[] => {
    const labels = starts.map((at) => time(at, store.timezone))
    return labels.map((label, index) =>
      labels.indexOf(label) === labels.lastIndexOf(label) ? label : `${label} (${starts[index]?.slice(-6)})`,
    )
  }
}

// Which period is shown: kept in the address, so that it can be shared. Today is a period of its own, which moves on.
import { ActionIcon, Group, SegmentedControl, Text } from '@mantine/core'
import { DateInput } from '@mantine/dates'
import '@mantine/dates/styles.css'
import 'dayjs/locale/zh-cn'
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { useFormat } from '@/shared/format'
import { addDays, beside, dayIn, type Period, periodOf, readDay, type Tab, TABS } from './period'

interface Shown {
  tab: Tab
  period: Period
  today: string
  show: (tab: Tab, day?: string) => void
}

export function usePeriod(timeZone: string): Shown {
  const [params, setParams] = useSearchParams()
  const today = dayIn(timeZone, new Date())
  const named = params.get('period') as Tab
  const tab = TABS.includes(named) ? named : 'today'
  const written = readDay(params.get('date'))
  const day = tab === 'today' || written === null || written > today ? today : written
  const show = (next: Tab, to: string = day) =>
    setParams(
      (before) => {
        before.delete('date')
        if (next === 'today') before.delete('period')
        else {
          before.set('period', next)
          before.set('date', periodOf(next, to).first)
        }
        return before
      },
      { replace: true },
    )
  return { tab, today, period: periodOf(tab === 'today' ? 'day' : tab, day), show }
}

export function PeriodNav({ tab, period, today, show }: Shown) {
  const { t, i18n } = useTranslation('store')
  const label = usePeriodLabel()
  const next = beside(period, 1)
  const step = (to: Period) => show(tab === 'today' ? 'day' : tab, to.first)
  return (
    <Group justify="space-between" gap="sm">
      <SegmentedControl
        className="no-print"
        aria-label={t('period.label')}
        value={tab}
        onChange={(chosen) =>
          show(chosen as Tab, chosen === 'day' && tab === 'today' ? addDays(today, -1) : period.first)
        }
        data={TABS.map((one) => ({ value: one, label: t(`period.${one}`) }))}
      />
      <Group gap="xs" wrap="nowrap">
        <ActionIcon
          className="no-print"
          variant="default"
          size="lg"
          aria-label={t(`period.before_${period.grain}`)}
          onClick={() => step(beside(period, -1))}
        >
          <IconChevronLeft size={18} aria-hidden />
        </ActionIcon>
        {period.grain === 'day' ? (
          <DateInput
            aria-label={t('period.choose')}
            value={period.first}
            maxDate={today}
            locale={i18n.language === 'zh' ? 'zh-cn' : 'en'}
            valueFormat={i18n.language === 'zh' ? 'YYYY年M月D日 ddd' : 'ddd D MMM YYYY'}
            onChange={(day) => day && show(day === today ? 'today' : 'day', day)}
            w={170}
          />
        ) : (
          <Text fw={600} size="sm" role="status">
            {label(period)}
          </Text>
        )}
        <ActionIcon
          className="no-print"
          variant="default"
          size="lg"
          aria-label={t(`period.after_${period.grain}`)}
          disabled={next.first > today}
          onClick={() => (next.grain === 'day' && next.first === today ? show('today') : step(next))}
        >
          <IconChevronRight size={18} aria-hidden />
        </ActionIcon>
      </Group>
    </Group>
  )
}

/** What a period is called. */
export function usePeriodLabel() {
  const { date, days, month } = useFormat()
  return ({ grain, first, after }: Period): string => {
    switch (grain) {
      case 'day':
        return date(first, 'UTC')
      case 'week':
        return days(first, addDays(after, -1))
      case 'month':
        return month(first, 'UTC')
    }
  }
}

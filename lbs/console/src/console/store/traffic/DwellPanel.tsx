import { Group, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { Bars } from '@/shared/charts'
import { useFormat } from '@/shared/format'
import { INK } from '@/shared/theme'
import { Asked } from '@/shared/ui/Asked'
import type { Store } from '../stores'
import type { Period } from './period'
import { useDwell } from './questions'

/** How long visitors stayed. */
export function DwellPanel({ store, period }: { store: Store; period: Period }) {
  const { t } = useTranslation(['store', 'shared'])
  const { number, duration } = useFormat()
  const query = useDwell(store.store_id, period)
  return (
    <Asked query={query}>
      {({ items, median_dwell_s: median, p90_dwell_s: p90, k }) => {
        const told = (value: number | null) => (value === null ? t('shared:withheld', { k }) : duration(value))
        return (
          <>
            <Group gap="lg" mb="xs">
              <Text size="sm">
                {t('figure.median_dwell_s')}: <b>{told(median)}</b>
              </Text>
              <Text size="sm">
                {t('dwell.p90')}: <b>{told(p90)}</b>
              </Text>
            </Group>
            <Bars
              title={t('dwell.of', { store: store.name })}
              k={k}
              height={220}
              format={number}
              labels={items.map(({ from_s: from, to_s: to }) =>
                to === null
                  ? t('dwell.more', { from: minutes(from) })
                  : t('dwell.bin', { from: minutes(from), to: minutes(to) }),
              )}
              series={[{ name: t('dwell.visitors'), color: INK.place, values: items.map((one) => one.visits) }]}
            />
            <Text size="xs" c="dimmed">
              {t('dwell.note')} {t('withheld_bars', { k })}
            </Text>
          </>
        )
      }}
    </Asked>
  )
}

const minutes = (seconds: number) => seconds / 60

import { Group, Paper, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import type { Store } from '../stores'
import classes from './Live.module.css'
import { useLive } from './questions'

/** How many are inside at this moment; it changes by itself. */
export function Live({ store }: { store: Store }) {
  const { t } = useTranslation('store')
  const { number, time } = useFormat()
  const { data, isError } = useLive(store.store_id)
  return (
    <Paper withBorder p="md" role="group" aria-label={t('live.label')}>
      <Group gap={6} wrap="nowrap" aria-hidden>
        <span className={classes.dot} data-lost={isError || undefined} aria-hidden />
        <Text span size="sm" c="dimmed">
          {t('live.label')}
        </Text>
      </Group>
      <Text size="xl" fw={650} role="status">
        {data
          ? data.inside === 0
            ? t('live.few', { k: data.k })
            : t('live.at_least', { n: number(data.inside) })
          : '–'}
      </Text>
      <Text size="xs" c="dimmed">
        {isError ? t('live.lost') : data && t('live.note', { k: data.k, at: time(data.as_of, store.timezone) })}
      </Text>
    </Paper>
  )
}

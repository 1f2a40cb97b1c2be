import { Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import { useOpen } from './offers'

const WEEK_MS = 6 * 86_400_000

/** Open or not, and when that changes, in the store's own time. */
export function OpenState({ storeId, timezone }: { storeId: string; timezone: string }) {
  const { t } = useTranslation('app')
  const format = useFormat()
  const { data, dataUpdatedAt } = useOpen(storeId)
  if (!data || data.open === null) return null
  const next = data.next_change
  const sameDay = next && format.date(next, timezone) === format.date(new Date(dataUpdatedAt), timezone)
  const soon = next && Date.parse(next) - dataUpdatedAt < WEEK_MS
  const when = !next
    ? ''
    : sameDay
      ? format.time(next, timezone)
      : soon
        ? `${format.weekday(next, timezone)}, ${format.time(next, timezone)}`
        : format.date(next, timezone)
  const key = data.open ? (next ? 'open.until' : 'open.now') : next ? 'open.opens' : 'open.closed'
  return (
    <Text component="span" size="sm" fw={550} c={data.open ? 'light-dark(#1f6f31, #69db7c)' : 'dimmed'}>
      {t(key, { when })}
    </Text>
  )
}

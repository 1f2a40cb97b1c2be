import { Badge, Group, Stack, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { stretches } from '../hours'
import { type Store, useHours } from '../queries'
import { useNow } from '../useNow'

/** The opening hours as they are written, and as they are understood. */
export function Hours({ store }: { store: Store }) {
  const { t } = useTranslation('places')
  const hours = useHours(store.store_id)
  if (store.opening_hours === null) return <Text size="sm">{t('hours.none')}</Text>
  return (
    <Stack gap="xs">
      <Text size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
        {store.opening_hours}
      </Text>
      <Asked query={hours}>{({ now, changes }) => <Understood store={store} now={now} changes={changes} />}</Asked>
    </Stack>
  )
}

function Understood({
  store,
  now,
  changes,
}: {
  store: Store
  now: { open: boolean | null; next_change: string | null; reason: string }
  changes: { at: string; open: boolean | null }[]
}) {
  const { t } = useTranslation('places')
  const format = useFormat()
  const moment = useNow(60_000)
  const zone = store.timezone
  if (now.open === null || now.reason === 'unknown') return <Text size="sm">{t('hours.unknown')}</Text>
  const when = (instant: string) =>
    Date.parse(instant) - moment < 18 * 3_600_000
      ? format.time(instant, zone)
      : `${format.weekday(instant, zone)}, ${format.time(instant, zone)}`
  const next = now.next_change
  return (
    <>
      <Group gap="xs">
        <Badge color={now.open ? 'teal' : 'gray'} variant="light">
          {t(now.open ? 'hours.open' : 'hours.closed')}
        </Badge>
        <Text size="sm">
          {next === null
            ? t(now.open ? 'hours.always' : 'hours.never')
            : t(now.open ? 'hours.closes' : 'hours.opens', { at: when(next) })}
        </Text>
      </Group>
      <Text component="ul" size="sm" m={0} pl="md">
        {stretches(now.open, changes).map(({ from, to }) => (
          <li key={from ?? 'now'}>
            {from === null ? t('hours.now') : `${format.weekday(from, zone)} ${format.time(from, zone)}`}
            {' – '}
            {to === null ? '…' : format.time(to, zone)}
          </li>
        ))}
      </Text>
      <Text size="xs" c="dimmed">
        {t('hours.zone', { zone })}
      </Text>
    </>
  )
}

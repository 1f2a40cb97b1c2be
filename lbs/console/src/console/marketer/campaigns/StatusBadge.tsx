import { Badge } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { COLOURS } from './life'
import { type Status } from './model'
import { TEXTS } from './texts'

export function StatusBadge({ status }: { status: Status }) {
  const { t } = useTranslation(TEXTS)
  return (
    <Badge color={COLOURS[status]} variant={status === 'live' ? 'filled' : 'light'} tt="none" radius="sm">
      {t(`status.${status}`)}
    </Badge>
  )
}

import { Group, Paper, Text, ThemeIcon, Tooltip } from '@mantine/core'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

interface Props {
  label: string
  /** Null: withheld, because it would rest on fewer than `k` phones. */
  value: ReactNode | null
  k?: number
  /** A second, smaller line: what it is compared with, or how it is defined. */
  note?: ReactNode
  icon?: ReactNode
}

/** One figure of a dashboard. */
export function Figure({ label, value, k, note, icon }: Props) {
  const { t } = useTranslation('shared')
  return (
    <Paper withBorder p="md" role="group" aria-label={label}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Text size="sm" c="dimmed" aria-hidden>
          {label}
        </Text>
        {icon && (
          <ThemeIcon variant="light" aria-hidden>
            {icon}
          </ThemeIcon>
        )}
      </Group>
      {value === null ? (
        <Tooltip label={t('withheld_why', { k })} multiline w={260}>
          <Text size="lg" fw={600} c="dimmed">
            {t('withheld', { k })}
          </Text>
        </Tooltip>
      ) : (
        <Text size="xl" fw={650}>
          {value}
        </Text>
      )}
      {note && (
        <Text size="xs" c="dimmed">
          {note}
        </Text>
      )}
    </Paper>
  )
}

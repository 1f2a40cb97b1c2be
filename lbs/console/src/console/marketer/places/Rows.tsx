import { Anchor, Box, Group, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import classes from './Rows.module.css'

interface Props {
  to: string
  title: string
  /** Smaller, under the title. */
  note?: ReactNode
  /** At the end of the line. */
  end?: ReactNode
  /** Null when the row is left. */
  onPoint?: ((pointed: boolean) => void) | undefined
}

/** One line of a list that leads to its page. */
export function Row({ to, title, note, end, onPoint }: Props) {
  return (
    <Box
      component="li"
      className={classes.row}
      onMouseEnter={() => onPoint?.(true)}
      onMouseLeave={() => onPoint?.(false)}
      onFocus={() => onPoint?.(true)}
      onBlur={() => onPoint?.(false)}
    >
      <Group justify="space-between" wrap="nowrap" gap="sm" align="baseline">
        <Anchor component={Link} to={to} className={classes.link} fw={550} size="sm" c="inherit">
          {title}
        </Anchor>
        {end && (
          <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
            {end}
          </Text>
        )}
      </Group>
      {note && (
        <Text size="xs" c="dimmed" lineClamp={2}>
          {note}
        </Text>
      )}
    </Box>
  )
}

export function Rows({ children, label }: { children: ReactNode; label: string }) {
  return (
    <Box component="ul" className={classes.rows} aria-label={label}>
      {children}
    </Box>
  )
}

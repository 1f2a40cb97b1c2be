import { ActionIcon, Checkbox, Group, Tooltip } from '@mantine/core'
import {
  IconArrowBackUp,
  IconArrowForwardUp,
  IconCircle,
  IconPointer,
  IconPolygon,
  IconRectangle,
  IconScribble,
  IconTrash,
} from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import type { Tool } from './Draw'

const TOOLS = [
  ['select', IconPointer],
  ['circle', IconCircle],
  ['polygon', IconPolygon],
  ['rectangle', IconRectangle],
  ['freehand', IconScribble],
] as const

interface Props {
  tool: Tool
  onTool: (tool: Tool) => void
  undo: (() => void) | null
  redo: (() => void) | null
  clear: (() => void) | null
  /** Null: there is no area that could get one more part. */
  adding: boolean | null
  onAdding: (adding: boolean) => void
}

/** What one draws with, above the map. */
export function Toolbar({ tool, onTool, undo, redo, clear, adding, onAdding }: Props) {
  const { t } = useTranslation(['places', 'shared'])
  return (
    <Group gap="sm" mb="xs" role="toolbar" aria-label={t('tool.title')}>
      <ActionIcon.Group>
        {TOOLS.map(([name, Icon]) => (
          <Tooltip key={name} label={t(`tool.${name}` as never)}>
            <ActionIcon
              size="lg"
              variant={tool === name ? 'filled' : 'default'}
              aria-pressed={tool === name}
              aria-label={t(`tool.${name}` as never)}
              onClick={() => onTool(name)}
            >
              <Icon size={18} aria-hidden />
            </ActionIcon>
          </Tooltip>
        ))}
      </ActionIcon.Group>
      <ActionIcon.Group>
        {(
          [
            ['undo', undo, IconArrowBackUp, t('shared:undo')],
            ['redo', redo, IconArrowForwardUp, t('tool.redo')],
            ['clear', clear, IconTrash, t('tool.clear')],
          ] as const
        ).map(([name, act, Icon, label]) => (
          <Tooltip key={name} label={label}>
            <ActionIcon size="lg" variant="default" aria-label={label} disabled={act === null} onClick={() => act?.()}>
              <Icon size={18} aria-hidden />
            </ActionIcon>
          </Tooltip>
        ))}
      </ActionIcon.Group>
      {adding !== null && (
        <Checkbox
          size="xs"
          label={t('tool.adding')}
          checked={adding}
          onChange={(event) => onAdding(event.currentTarget.checked)}
        />
      )}
    </Group>
  )
}

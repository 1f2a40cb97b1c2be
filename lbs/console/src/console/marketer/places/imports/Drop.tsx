import { Box, FileButton, Button, Group, Text } from '@mantine/core'
import { IconFileImport } from '@tabler/icons-react'
import { type DragEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import classes from './Drop.module.css'
import type { Kind } from './mapping'

interface Props {
  kind: Kind
  file: File | null
  onFile: (file: File) => void
  disabled: boolean
}

/** Where a file is dropped, or chosen. */
export function Drop({ kind, file, onFile, disabled }: Props) {
  const { t } = useTranslation('places')
  const format = useFormat()
  const [over, setOver] = useState(false)
  const dragged = (inside: boolean) => (event: DragEvent) => {
    event.preventDefault()
    setOver(inside && !disabled)
  }
  return (
    <Box
      className={classes.drop}
      data-over={over || undefined}
      onDragOver={dragged(true)}
      onDragLeave={dragged(false)}
      onDrop={(event) => {
        dragged(false)(event)
        const [first] = event.dataTransfer.files
        if (first && !disabled) onFile(first)
      }}
    >
      <Group justify="space-between" gap="md">
        <Group gap="sm" wrap="nowrap">
          <IconFileImport size={28} stroke={1.4} style={{ flexShrink: 0 }} aria-hidden />
          <div>
            <Text fw={550} style={{ overflowWrap: 'anywhere' }} role="status">
              {file
                ? t('imports.file', { name: file.name, size: format.number(Math.ceil(file.size / 1024)) })
                : t('imports.drop')}
            </Text>
            <Text size="sm" c="dimmed">
              {t(`imports.takes_${kind}` as never)}
            </Text>
          </div>
        </Group>
        <FileButton
          onChange={(chosen) => chosen && onFile(chosen)}
          accept=".csv,.tsv,.txt,.json,.geojson,.geojsonl,.geojsons,.ndjson,.gz"
          disabled={disabled}
        >
          {(props) => (
            <Button {...props} variant={file ? 'default' : 'filled'}>
              {t(file ? 'imports.other' : 'imports.choose')}
            </Button>
          )}
        </FileButton>
      </Group>
    </Box>
  )
}

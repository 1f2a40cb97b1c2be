// Rows that were refused, and what was noticed about others: as tables, and as files.
import { Button, Group, Table, Text, Title } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import { download, toCsv } from './csv'

interface Remark {
  row: number
  external_id: string | null
  text: string
}
interface Props {
  title: string
  remarks: readonly Remark[]
  /** Of all, told or not. */
  count: number
  fileName: string
  /** How the last column is called. */
  column: string
}

const SHOWN = 10

export function Remarks({ title, remarks, count, fileName, column }: Props) {
  const { t } = useTranslation(['places', 'shared'])
  const format = useFormat()
  const [all, setAll] = useState(false)
  if (count === 0) return null
  const header = ['row', 'external_id', column]
  const rows = remarks.map(({ row, external_id, text }) => [row, external_id, text])
  return (
    <section>
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h5">
          {title} ({format.number(count)})
        </Title>
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconDownload size={14} aria-hidden />}
          onClick={() => download(fileName, toCsv(header, rows))}
        >
          CSV
        </Button>
      </Group>
      <Table.ScrollContainer minWidth={420}>
        <Table striped withTableBorder>
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={70}>{t('imports.row')}</Table.Th>
              <Table.Th>{t('external_id')}</Table.Th>
              <Table.Th>{t('imports.why')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {remarks.slice(0, all ? undefined : SHOWN).map(({ row, external_id, text }) => (
              <Table.Tr key={`${row} ${text}`}>
                <Table.Td>{row}</Table.Td>
                <Table.Td>{external_id ?? '–'}</Table.Td>
                <Table.Td>{text}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {!all && remarks.length > SHOWN && (
        <Button mt="xs" size="compact-sm" variant="subtle" onClick={() => setAll(true)}>
          {t('shared:more')}
        </Button>
      )}
      {count > remarks.length && (
        <Text size="xs" c="dimmed">
          {t('imports.first_told', { told: format.number(remarks.length) })}
        </Text>
      )}
    </section>
  )
}

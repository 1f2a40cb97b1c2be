import { ScrollArea, Table, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { useStores } from '../data'
import { TEXTS } from '../texts'

const COLUMNS = ['decided', 'offered', 'sent', 'opened', 'visited', 'claimed', 'redeemed'] as const
const SHOWN = 100

interface Props {
  rows: readonly Schemas['FunnelRow'][]
  k: number
  /** There are more stores than were asked for. */
  more: boolean
}

/** The funnel of each store, most offers first. */
export function StoreRows({ rows, k, more }: Props) {
  const { t } = useTranslation([TEXTS, 'shared'])
  const f = useFormat()
  const stores = useStores()
  const names = new Map((stores.data ?? []).map((one) => [one.store_id, one.name]))
  const sorted = rows.toSorted((a, b) => b.offered - a.offered || b.decided - a.decided)
  return (
    <>
      <ScrollArea type="auto" viewportProps={{ tabIndex: 0, 'aria-label': t('results.title_store') }}>
        <Table striped miw={640}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">{t('results.store')}</Table.Th>
              {COLUMNS.map((one) => (
                <Table.Th key={one} scope="col" ta="end">
                  {t(`funnel.${one}`)}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sorted.slice(0, SHOWN).map((row) => (
              <Table.Tr key={row.store_id ?? ''}>
                <Table.Th scope="row" fw={500}>
                  {row.store_id ? (names.get(row.store_id) ?? row.store_id) : t('results.no_store')}
                </Table.Th>
                {COLUMNS.map((one) => {
                  const value = row[one] ?? null
                  return (
                    <Table.Td key={one} ta="end">
                      {value === null ? t('shared:withheld', { k }) : f.number(value)}
                    </Table.Td>
                  )
                })}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
      {(more || sorted.length > SHOWN) && (
        <Text size="xs" c="dimmed" mt="xs">
          {t('results.more_in_csv', { n: SHOWN })}
        </Text>
      )}
    </>
  )
}

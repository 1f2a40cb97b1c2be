// A file as it would be stored: figures, the first rows on a map and in a table, and what is refused.
import { Alert, Stack, Table, Title } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import type { Schemas } from '@/shared/api/client'
import { boundsOf, fromView, outlineOf, type Shape } from '../fences/shape'
import { LazyPlaceMap } from '../LazyPlaceMap'
import { Counts } from './Counts'
import type { Kind } from './mapping'
import { Remarks } from './Remarks'

type Row = Record<string, unknown>
interface Props {
  kind: Kind
  preview: Schemas['ImportPreview']
  report: Schemas['ImportReport']
}

/** A point by itself is shown with this much about it. */
const ABOUT_M = 100
const NOT_SHOWN = ['row', 'geometry', 'settings', 'attributes', 'kind']

export function Preview({ kind, preview, report }: Props) {
  const { t } = useTranslation('places')
  return (
    <Stack>
      {preview.accepted === 0 && <Alert color="orange">{t('imports.nothing')}</Alert>}
      <Counts report={report} />
      {preview.rows.length > 0 && <FirstRows kind={kind} rows={preview.rows} />}
      <Outcome kind={kind} report={report} />
    </Stack>
  )
}

/** What was refused and noticed, of a trial or of the import itself. */
export function Outcome({ kind, report }: { kind: Kind; report: Schemas['ImportReport'] }) {
  const { t } = useTranslation('places')
  return (
    <>
      <Remarks
        title={t('imports.refused_rows')}
        remarks={report.refused.map(({ reason, ...row }) => ({ ...row, text: reason }))}
        count={report.refused_count}
        fileName={`${kind}-refused.csv`}
        column="reason"
      />
      <Remarks
        title={t('imports.warnings')}
        remarks={report.warnings.map(({ warning, ...row }) => ({ ...row, text: warning }))}
        count={report.warnings_count}
        fileName={`${kind}-warnings.csv`}
        column="warning"
      />
    </>
  )
}

function FirstRows({ kind, rows }: { kind: Kind; rows: readonly Row[] }) {
  const { t } = useTranslation('places')
  const shapes = rows.map(shapeOf)
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (column) => !NOT_SHOWN.includes(column) && rows.some((row) => asText(row[column]) !== ''),
  )
  return (
    <>
      <Title order={2} size="h5">
        {t('imports.first_rows', { count: rows.length })}
      </Title>
      <LazyPlaceMap
        label={t('imports.map')}
        height={280}
        bounds={boundsOf(shapes)}
        layers={{ stores: kind === 'fences' }}
        marked={rows.map((row, index) =>
          kind === 'fences'
            ? outlineOf(shapes[index] as Shape, { as: 'listed' as const })
            : {
                type: 'Feature' as const,
                properties: { as: 'listed' as const },
                geometry: { type: 'Point' as const, coordinates: [Number(row.lng), Number(row.lat)] },
              },
        )}
      />
      <Table.ScrollContainer minWidth={480}>
        <Table striped withTableBorder fz="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('imports.row')}</Table.Th>
              {columns.map((column) => (
                <Table.Th key={column}>{t(`field.${column}` as never, { defaultValue: column })}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={String(row.row)}>
                <Table.Td>{String(row.row)}</Table.Td>
                {columns.map((column) => (
                  <Table.Td key={column}>{asText(row[column])}</Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  )
}

function shapeOf(row: Row): Shape {
  if (row.geometry) {
    return fromView({ geometry: row.geometry as Row, radius_m: (row.radius_m as number | null) ?? null })
  }
  return { kind: 'circle', center: { lat: Number(row.lat), lng: Number(row.lng) }, radiusM: ABOUT_M }
}

function asText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value)) return value.join(', ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

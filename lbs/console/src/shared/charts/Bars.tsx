import { Box, Button, ScrollArea, Table, useComputedColorScheme } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Bar, CartesianGrid, ComposedChart, Legend, Line, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts'

export interface Series {
  name: string
  color: string
  /** Null: withheld; undefined: there is nothing to tell (yet). One value a label. */
  values: readonly (number | null | undefined)[]
  as?: 'bar' | 'line'
  /** Bars of one stack stand on each other. */
  stack?: string
}

interface Props {
  /** What the chart shows, for those who do not see it. */
  title: string
  labels: readonly string[]
  series: readonly Series[]
  height?: number
  k?: number
  format?: (value: number) => string
}

/** Bars and lines over labels, with the same figures as a table. A withheld figure has no bar; the table says so. */
export default function Bars({ title, labels, series, height = 260, k, format = String }: Props) {
  const { t } = useTranslation('shared')
  const [table, setTable] = useState(false)
  const dark = useComputedColorScheme('light') === 'dark'
  const grid = dark ? '#373A40' : '#E9ECEF'
  const ink = dark ? '#C1C2C5' : '#495057'
  const rows = labels.map((label, index) => ({
    label,
    index,
    ...Object.fromEntries(series.map((one) => [one.name, one.values[index] ?? null])),
  }))
  return (
    <Box>
      {table ? (
        <ScrollArea.Autosize mah={height} type="auto" viewportProps={{ tabIndex: 0 }}>
          <Table stickyHeader striped captionSide="top">
            <Table.Caption>{title}</Table.Caption>
            <Table.Thead>
              <Table.Tr>
                <Table.Th scope="col" />
                {series.map((one) => (
                  <Table.Th key={one.name} scope="col">
                    {one.name}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.index}>
                  <Table.Th scope="row">{row.label}</Table.Th>
                  {series.map((one) => {
                    const value = one.values[row.index]
                    return (
                      <Table.Td key={one.name}>
                        {value === undefined ? '–' : value === null ? t('withheld', { k }) : format(value)}
                      </Table.Td>
                    )
                  })}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </ScrollArea.Autosize>
      ) : (
        <Box role="img" aria-label={title} data-bars={labels.length}>
          <ResponsiveContainer width="100%" height={height}>
            <ComposedChart data={rows} margin={{ top: 8, right: 8, bottom: 0, left: -12 }} accessibilityLayer={false}>
              <CartesianGrid vertical={false} stroke={grid} />
              <XAxis
                dataKey="label"
                stroke={ink}
                tickLine={false}
                fontSize={12}
                interval="preserveStartEnd"
                minTickGap={12}
              />
              <YAxis
                stroke={ink}
                tickLine={false}
                axisLine={false}
                fontSize={12}
                tickFormatter={format}
                allowDecimals={false}
              />
              <Tooltip
                cursor={{ fill: grid, opacity: 0.5 }}
                contentStyle={{ background: 'var(--mantine-color-body)', borderColor: grid, borderRadius: 8 }}
                formatter={(value) => format(Number(value))}
              />
              {series.length > 1 && <Legend />}
              {series.map((one) =>
                one.as === 'line' ? (
                  <Line
                    key={one.name}
                    dataKey={one.name}
                    stroke={one.color}
                    strokeDasharray="5 4"
                    dot={false}
                    strokeWidth={2}
                    isAnimationActive={false}
                  />
                ) : (
                  <Bar
                    key={one.name}
                    dataKey={one.name}
                    fill={one.color}
                    radius={[3, 3, 0, 0]}
                    isAnimationActive={false}
                    {...(one.stack ? { stackId: one.stack } : {})}
                  />
                ),
              )}
            </ComposedChart>
          </ResponsiveContainer>
        </Box>
      )}
      <Button
        className="no-print"
        mt="xs"
        size="compact-xs"
        variant="subtle"
        color="gray"
        onClick={() => setTable(!table)}
      >
        {t(table ? 'as_chart' : 'as_table')}
      </Button>
    </Box>
  )
}

// Where decisions were triggered, by cell; the same figures stand in a table.
import { Grid, ScrollArea, SegmentedControl, Stack, Table, Text } from '@mantine/core'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { cellToLatLng, getHexagonEdgeLengthAvg } from 'h3-js'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { LazyMap } from '@/shared/map'
import { cellShapes } from '@/shared/map/cells'
import { type Drawing, GeoJsonLayers } from '@/shared/map/Layers'
import { INK } from '@/shared/theme'
import { Asked } from '@/shared/ui/Asked'
import { useQueryParams } from '../asked'
import { campaignKey, useStores } from '../data'
import { boundsOf } from '../edit/PlacesMap'
import { type StoreView } from '../model'
import { TEXTS } from '../texts'

const RESOLUTIONS = [7, 8, 9, 10] as const
const USUAL = 9
const SHOWN = 50

export default function TriggerMap({ id }: { id: string }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const stores = useStores()
  const { asked, ask } = useQueryParams()
  const resolution = RESOLUTIONS.find((one) => String(one) === asked.get('resolution')) ?? USUAL
  const query = useQuery({
    queryKey: [...campaignKey(id), 'triggers', resolution],
    queryFn: ({ signal }) =>
      body(
        api.GET('/v1/campaigns/{campaign_id}/triggers', {
          params: { path: { campaign_id: id }, query: { resolution } },
          signal,
        }),
      ),
    placeholderData: keepPreviousData,
  })
  const items = query.data?.items
  const shapes = useMemo(() => cellShapes(items ?? []), [items])
  const most = Math.max(1, ...(items ?? []).map((one) => one.decisions))
  const bounds = useMemo(() => boundsOf(shapes.features.map((one) => one.geometry)), [shapes])
  const drawings = useMemo(() => drawn(most), [most])
  return (
    <Stack gap="md">
      <SegmentedControl
        aria-label={t('triggers.size')}
        value={String(resolution)}
        onChange={(value) => ask({ resolution: value === String(USUAL) ? null : value })}
        data={RESOLUTIONS.map((one) => ({
          value: String(one),
          label: f.distance(2 * getHexagonEdgeLengthAvg(one, 'm')),
        }))}
        style={{ alignSelf: 'flex-start' }}
      />
      <Asked query={query}>
        {({ k, items }) => (
          <>
            <Text size="sm" c="dimmed">
              {t('triggers.hint', { k })}
            </Text>
            {items.length === 0 ? (
              <Text>{t('triggers.nothing', { k })}</Text>
            ) : (
              <Grid gap="md">
                <Grid.Col span={{ base: 12, md: 7 }}>
                  <LazyMap label={t('triggers.map')} height={440} bounds={bounds}>
                    <GeoJsonLayers id="triggers" data={shapes} drawings={drawings} />
                  </LazyMap>
                </Grid.Col>
                <Grid.Col span={{ base: 12, md: 5 }}>
                  <Cells items={items} stores={stores.data ?? []} />
                </Grid.Col>
              </Grid>
            )}
          </>
        )}
      </Asked>
    </Stack>
  )
}

const drawn = (most: number) =>
  [
    {
      id: 'triggers-fill',
      type: 'fill',
      paint: {
        'fill-color': INK.place,
        'fill-opacity': ['interpolate', ['linear'], ['get', 'decisions'], 0, 0.15, most, 0.8],
      },
    },
    { id: 'triggers-line', type: 'line', paint: { 'line-color': INK.place, 'line-width': 1 } },
  ] as unknown as Drawing[]

interface CellsProps {
  items: readonly { cell: string; decisions: number; devices: number }[]
  stores: readonly StoreView[]
}

/** Cells by what lies nearest to their middle. */
function Cells({ items, stores }: CellsProps) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const sorted = items.toSorted((a, b) => b.decisions - a.decisions).slice(0, SHOWN)
  return (
    <ScrollArea.Autosize mah={440} type="auto" viewportProps={{ tabIndex: 0, 'aria-label': t('triggers.table') }}>
      <Table striped stickyHeader>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">{t('triggers.near')}</Table.Th>
            <Table.Th scope="col" ta="end">
              {t('triggers.decisions')}
            </Table.Th>
            <Table.Th scope="col" ta="end">
              {t('triggers.devices')}
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sorted.map(({ cell, decisions, devices }) => (
            <Table.Tr key={cell}>
              <Table.Th scope="row" fw={500}>
                {nearest(cell, stores) ?? cell}
              </Table.Th>
              <Table.Td ta="end">{f.number(decisions)}</Table.Td>
              <Table.Td ta="end">{f.number(devices)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {items.length > SHOWN && (
        <Text size="xs" c="dimmed" mt="xs">
          {t('triggers.more', { n: f.number(items.length - SHOWN) })}
        </Text>
      )}
    </ScrollArea.Autosize>
  )
}

function nearest(cell: string, stores: readonly StoreView[]): string | null {
  const [lat, lng] = cellToLatLng(cell)
  const narrow = Math.cos((lat * Math.PI) / 180)
  let found: StoreView | null = null
  let least = Infinity
  for (const store of stores) {
    const away = (store.lat - lat) ** 2 + ((((store.lng - lng + 540) % 360) - 180) * narrow) ** 2
    if (away < least) {
      least = away
      found = store
    }
  }
  return found?.name ?? null
}

// Where phones were seen around the store: cells on a map, and the same as a table.
import { SimpleGrid, Table, Text, ScrollArea } from '@mantine/core'
import type { FeatureCollection } from 'geojson'
import { cellToLatLng, greatCircleDistance, UNITS } from 'h3-js'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import type { Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { LazyMap } from '@/shared/map'
import { cellShapes } from '@/shared/map/cells'
import { GeoJsonLayers } from '@/shared/map/Layers'
import { INK } from '@/shared/theme'
import { Asked } from '@/shared/ui/Asked'
import { useSession } from '../../session'
import type { Store } from '../stores'
import type { Period } from './period'
import { useHeat } from './questions'

const HEIGHT = 400
const REACH_M = 1_700
const METRES_A_DEGREE = 111_320
const DIRECTIONS = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'] as const

export default function HeatPanel({ store, period }: { store: Store; period: Period }) {
  const { t } = useTranslation('store')
  const query = useHeat(store.store_id, period)
  return (
    <Asked query={query}>
      {({ items, k }) => (
        <>
          <Text size="sm" c="dimmed" mb="sm">
            {t('heat.note', { k })}
          </Text>
          {items.length === 0 ? (
            <Text size="sm">{t('heat.none', { k })}</Text>
          ) : (
            <SimpleGrid cols={{ base: 1, md: 2 }}>
              <HeatMap store={store} items={items} />
              <Cells store={store} items={items} />
            </SimpleGrid>
          )}
        </>
      )}
    </Asked>
  )
}

type Cell = Schemas['HeatCell']

function HeatMap({ store, items }: { store: Store; items: readonly Cell[] }) {
  const { t } = useTranslation('store')
  const { installation } = useSession()
  const most = Math.max(1, ...items.map((cell) => cell.devices))
  const shapes = useMemo(() => cellShapes(items), [items])
  const here = useMemo<FeatureCollection>(
    () => ({
      type: 'FeatureCollection',
      features: [{ type: 'Feature', properties: {}, geometry: { type: 'Point', coordinates: [store.lng, store.lat] } }],
    }),
    [store],
  )
  return (
    <LazyMap
      label={t('heat.of', { store: store.name })}
      height={HEIGHT}
      bounds={around(store)}
      styleUrl={installation.map_style_url}
    >
      <GeoJsonLayers
        id="heat"
        data={shapes}
        drawings={[
          {
            id: 'heat-fill',
            type: 'fill',
            paint: {
              'fill-color': INK.offer,
              'fill-opacity': ['interpolate', ['linear'], ['/', ['get', 'devices'], most], 0, 0.12, 1, 0.85],
            },
          },
          { id: 'heat-line', type: 'line', paint: { 'line-color': INK.offer, 'line-opacity': 0.5 } },
        ]}
      />
      <GeoJsonLayers
        id="here"
        data={here}
        drawings={[
          {
            id: 'here-dot',
            type: 'circle',
            paint: {
              'circle-radius': 7,
              'circle-color': INK.place,
              'circle-stroke-color': '#fff',
              'circle-stroke-width': 2,
            },
          },
        ]}
      />
    </LazyMap>
  )
}

function Cells({ store, items }: { store: Store; items: readonly Cell[] }) {
  const { t } = useTranslation('store')
  const { number, distance } = useFormat()
  const rows = [...items].sort((a, b) => b.devices - a.devices)
  return (
    <ScrollArea h={HEIGHT} type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('heat.cells') }}>
      <Table stickyHeader striped verticalSpacing={6}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">{t('heat.where')}</Table.Th>
            <Table.Th scope="col" ta="right">
              {t('heat.devices')}
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(({ cell, devices }) => {
            const [lat, lng] = cellToLatLng(cell)
            const away = greatCircleDistance([store.lat, store.lng], [lat, lng], UNITS.m)
            return (
              <Table.Tr key={cell}>
                <Table.Th scope="row" fw={400}>
                  {away < HERE_M
                    ? t('heat.here')
                    : t('heat.away', { distance: distance(away), way: t(`way.${direction(store, lat, lng)}`) })}
                </Table.Th>
                <Table.Td ta="right">{number(devices)}</Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
    </ScrollArea>
  )
}

/** A cell of resolution 9 reaches some 200 m from its middle. */
const HERE_M = 150

function direction(store: Store, lat: number, lng: number): (typeof DIRECTIONS)[number] {
  const east = (((lng - store.lng + 540) % 360) - 180) * Math.cos((store.lat * Math.PI) / 180)
  const turns = Math.atan2(east, lat - store.lat) / (2 * Math.PI)
  return DIRECTIONS[Math.round(turns * 8 + 8) % 8] ?? 'n'
}

/** West, south, east, north about the store's surroundings. */
function around({ lat, lng }: Store): [number, number, number, number] {
  const up = REACH_M / METRES_A_DEGREE
  const side = Math.min(180, up / Math.max(0.01, Math.cos((lat * Math.PI) / 180)))
  return [lng - side, lat - up, lng + side, lat + up]
}

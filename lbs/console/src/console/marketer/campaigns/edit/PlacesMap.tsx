// Places on a map: those that are chosen stand out.
import type { FeatureCollection, Geometry, Position } from 'geojson'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { LazyMap } from '@/shared/map'
import { type Drawing, GeoJsonLayers } from '@/shared/map/Layers'
import { INK } from '@/shared/theme'
import { TEXTS } from '../texts'
import { type Place } from './PlacePicker'

const chosenOr = (yes: string, no: string) => ['case', ['get', 'chosen'], yes, no]

const DRAWINGS = [
  {
    id: 'places-areas',
    type: 'fill',
    filter: ['!=', ['geometry-type'], 'Point'],
    paint: { 'fill-color': chosenOr(INK.place, INK.usual), 'fill-opacity': 0.4 },
  },
  {
    id: 'places-points',
    type: 'circle',
    filter: ['==', ['geometry-type'], 'Point'],
    layout: { 'circle-sort-key': ['case', ['get', 'chosen'], 1, 0] },
    paint: {
      'circle-color': chosenOr(INK.place, INK.usual),
      'circle-radius': ['case', ['get', 'chosen'], 6, 4],
      'circle-opacity': 0.85,
      'circle-stroke-width': 1,
      'circle-stroke-color': '#ffffff',
    },
  },
] as unknown as Drawing[]

interface Props {
  places: readonly Place[]
  chosen: ReadonlySet<string>
  onToggle: (id: string) => void
}

export default function PlacesMap({ places, chosen, onToggle }: Props) {
  const { t } = useTranslation(TEXTS)
  const data = useMemo<FeatureCollection>(
    () => ({
      type: 'FeatureCollection',
      features: places.map(({ id, geometry }) => ({
        type: 'Feature',
        geometry,
        properties: { id, chosen: chosen.has(id) },
      })),
    }),
    [places, chosen],
  )
  const bounds = useMemo(() => boundsOf(places.map((place) => place.geometry)), [places])
  return (
    <LazyMap label={t('edit.where.map')} height={360} bounds={bounds}>
      <GeoJsonLayers
        id="places"
        data={data}
        drawings={DRAWINGS}
        onPick={(properties) => onToggle(String(properties.id))}
      />
    </LazyMap>
  )
}

/** [west, south, east, north] of all positions; null of none. */
export function boundsOf(geometries: readonly Geometry[]): [number, number, number, number] | null {
  const positions = geometries.flatMap(positionsOf)
  if (positions.length === 0) return null
  const box: [number, number, number, number] = [180, 90, -180, -90]
  for (const [lng = 0, lat = 0] of positions) {
    box[0] = Math.min(box[0], lng)
    box[1] = Math.min(box[1], lat)
    box[2] = Math.max(box[2], lng)
    box[3] = Math.max(box[3], lat)
  }
  return box
}

function positionsOf(geometry: Geometry): Position[] {
  switch (geometry.type) {
    case 'Point':
      return [geometry.coordinates]
    case 'Polygon':
      return geometry.coordinates.flat()
    case 'MultiPolygon':
      return geometry.coordinates.flat(2)
    default:
      return []
  }
}

// The tenant's map: its stores and fences as tiles, and what a page adds. Loaded lazily.
import type { Feature, FeatureCollection, Geometry } from 'geojson'
import { type ReactNode, useEffect, useRef } from 'react'
import { useSession } from '@/console/session'
import { type Drawing, GeoJsonLayers, TileLayers } from '@/shared/map/Layers'
import MapView, { type MapViewProps, useMap } from '@/shared/map/MapView'
import { FONT } from '@/shared/map/style'
import { INK } from '@/shared/theme'
import { stamp } from './stamp'

export interface PlaceMapProps extends Omit<MapViewProps, 'styleUrl'> {
  /** Which tiles lie on it. */
  layers: { stores?: boolean; fences?: boolean; cells?: boolean }
  onStore?: (storeId: string) => void
  onFence?: (fenceId: string) => void
  /** The middle of the map, whenever it comes to rest. */
  onMove?: (middle: { lat: number; lng: number }) => void
  /** What the page is about, above the tiles. */
  marked?: readonly Feature<Geometry, Mark>[]
}

/** How a shape is drawn: as what holds, as what held before, as one of a list, or as where something is wrong. */
export interface Mark {
  as: 'now' | 'before' | 'listed' | 'wrong' | 'place'
  label?: string
}

export default function PlaceMap({ layers, onStore, onFence, onMove, marked, children, ...map }: PlaceMapProps) {
  const { installation } = useSession()
  return (
    <MapView {...map} styleUrl={installation.map_style_url}>
      {layers.fences && <FenceTiles onFence={onFence} from={layers.stores ? BESIDE_STORES_ZOOM : 0} />}
      {layers.cells && <CellTiles />}
      {layers.stores && <StoreTiles onStore={onStore} />}
      {marked && <Marked features={marked} />}
      {onMove && <Moved onMove={onMove} />}
      {children as ReactNode}
    </MapView>
  )
}

const STORES: readonly Drawing[] = [
  {
    id: 'stores-groups',
    type: 'circle',
    'source-layer': 'stores',
    filter: ['has', 'count'],
    paint: {
      'circle-color': INK.place,
      'circle-opacity': 0.85,
      'circle-radius': ['interpolate', ['linear'], ['log10', ['get', 'count']], 0, 11, 2, 18, 4, 28],
      'circle-stroke-color': '#ffffff',
      'circle-stroke-width': 1.5,
    },
  },
  {
    id: 'stores-counts',
    type: 'symbol',
    'source-layer': 'stores',
    filter: ['has', 'count'],
    layout: {
      'text-field': ['to-string', ['get', 'count']],
      'text-font': FONT,
      'text-size': 12,
      'text-allow-overlap': true,
    },
    paint: { 'text-color': '#ffffff' },
  },
  {
    id: 'stores-singles',
    type: 'circle',
    'source-layer': 'stores',
    filter: ['!', ['has', 'count']],
    paint: {
      'circle-color': INK.place,
      'circle-radius': 6,
      'circle-stroke-color': '#ffffff',
      'circle-stroke-width': 1.5,
    },
  },
]

function StoreTiles({ onStore }: { onStore: PlaceMapProps['onStore'] }) {
  const map = useMap()
  const picked = (properties: Record<string, unknown>, at: { lat: number; lng: number }) => {
    if (typeof properties.store_id === 'string') onStore?.(properties.store_id)
    else map.easeTo({ center: at, zoom: Math.min(map.getZoom() + 2, 15) })
  }
  return (
    <TileLayers
      id="stores"
      tiles={`/v1/tiles/stores/{z}/{x}/{y}.mvt?${stamp()}`}
      drawings={STORES}
      {...(onStore ? { onPick: picked } : {})}
    />
  )
}

const FENCES: readonly Drawing[] = [
  {
    id: 'fences-inside',
    type: 'fill',
    'source-layer': 'fences',
    paint: { 'fill-color': INK.fence, 'fill-opacity': ['interpolate', ['linear'], ['zoom'], 12, 0.01, 16, 0.06] },
  },
  {
    id: 'fences-border',
    type: 'line',
    'source-layer': 'fences',
    paint: {
      'line-color': INK.fence,
      'line-width': 1,
      'line-opacity': ['interpolate', ['linear'], ['zoom'], 12, 0.25, 16, 0.6],
    },
  },
]

/** Further out, fences would hide the stores. */
const BESIDE_STORES_ZOOM = 14.5

function FenceTiles({ onFence, from }: { onFence: PlaceMapProps['onFence']; from: number }) {
  return (
    <TileLayers
      id="fences"
      tiles={`/v1/tiles/fences/{z}/{x}/{y}.mvt?${stamp()}`}
      drawings={FENCES.map((drawing) => ({ ...drawing, minzoom: from }))}
      {...(onFence ? { onPick: ({ fence_id }) => onFence(String(fence_id)) } : {})}
    />
  )
}

const CELLS: readonly Drawing[] = [
  {
    id: 'cells-border',
    type: 'line',
    'source-layer': 'cells',
    paint: { 'line-color': INK.usual, 'line-width': 1 },
  },
]

function CellTiles() {
  return <TileLayers id="cells" tiles={`/v1/tiles/cells/{z}/{x}/{y}.mvt?${stamp()}`} drawings={CELLS} />
}

const COLOUR = ['match', ['get', 'as'], 'before', INK.usual, 'wrong', '#dc2626', 'place', INK.place, INK.offer] as const

const MARKS: readonly Drawing[] = [
  {
    id: 'marks-inside',
    type: 'fill',
    filter: ['all', ['==', ['geometry-type'], 'Polygon'], ['!=', ['get', 'as'], 'before']],
    paint: { 'fill-color': COLOUR as never, 'fill-opacity': 0.2 },
  },
  {
    id: 'marks-border',
    type: 'line',
    filter: ['all', ['==', ['geometry-type'], 'Polygon'], ['!=', ['get', 'as'], 'before']],
    paint: { 'line-color': COLOUR as never, 'line-width': 2.5 },
  },
  {
    id: 'marks-before',
    type: 'line',
    filter: ['all', ['==', ['geometry-type'], 'Polygon'], ['==', ['get', 'as'], 'before']],
    paint: { 'line-color': COLOUR as never, 'line-width': 2, 'line-dasharray': [2, 2] },
  },
  {
    id: 'marks-point',
    type: 'circle',
    filter: ['==', ['geometry-type'], 'Point'],
    paint: {
      'circle-color': COLOUR as never,
      'circle-radius': 7,
      'circle-stroke-color': '#ffffff',
      'circle-stroke-width': 2,
    },
  },
]

function Marked({ features }: { features: readonly Feature<Geometry, Mark>[] }) {
  const data: FeatureCollection = { type: 'FeatureCollection', features: [...features] }
  return <GeoJsonLayers id="marks" data={data} drawings={MARKS} />
}

function Moved({ onMove }: { onMove: NonNullable<PlaceMapProps['onMove']> }) {
  const map = useMap()
  const move = useRef(onMove)
  move.current = onMove
  useEffect(() => {
    const moved = () => {
      const { lat, lng } = map.getCenter().wrap()
      move.current({ lat, lng })
    }
    map.on('moveend', moved)
    return () => void map.off('moveend', moved)
  }, [map])
  return null
}

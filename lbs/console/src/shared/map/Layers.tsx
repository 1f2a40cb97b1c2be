// What lies on a map: GeoJSON of ours, or vector tiles of the API, with the layers that draw them.
import type { FeatureCollection } from 'geojson'
import type { FilterSpecification, GeoJSONSource, LayerSpecification, MapLayerMouseEvent } from 'maplibre-gl'
import { useEffect, useRef } from 'react'
import { useMap } from './MapView'

type Unbound<L> = L extends { source: unknown }
  ? Omit<L, 'source' | 'source-layer'> & { 'source-layer'?: string }
  : never
/** A layer whose source is the one it is given with. */
export type Drawing = Unbound<LayerSpecification>

interface Common {
  id: string
  /** Later drawings lie above earlier ones; ids must be unique on the map. */
  drawings: readonly Drawing[]
  /** What was clicked, the topmost first, by its properties. */
  onPick?: (properties: Record<string, unknown>, at: { lat: number; lng: number }) => void
  filter?: FilterSpecification
}

function useDrawings({ id, drawings, onPick, filter }: Common, addSource: (source: string) => void) {
  const map = useMap()
  const pick = useRef(onPick)
  pick.current = onPick
  const first = useRef({ drawings, addSource })
  first.current = { drawings, addSource }
  const shape = JSON.stringify(drawings)

  // `shape` stands for the drawings, which are new objects each time
  useEffect(() => {
    const { drawings, addSource } = first.current
    addSource(id)
    for (const drawing of drawings) {
      const layer = { ...drawing, source: id } as LayerSpecification
      map.addLayer(filter ? ({ ...layer, filter } as LayerSpecification) : layer)
    }
    const clicked = (event: MapLayerMouseEvent) => {
      const found = event.features?.[0]
      if (found) pick.current?.(found.properties, { lat: event.lngLat.lat, lng: event.lngLat.lng })
    }
    const over = () => {
      if (pick.current) map.getCanvas().style.cursor = 'pointer'
    }
    const out = () => {
      map.getCanvas().style.cursor = ''
    }
    const ids = drawings.map((drawing) => drawing.id)
    map.on('click', ids, clicked)
    map.on('mouseenter', ids, over)
    map.on('mouseleave', ids, out)
    return () => {
      map.off('click', ids, clicked)
      map.off('mouseenter', ids, over)
      map.off('mouseleave', ids, out)
      for (const drawing of drawings) if (map.getLayer(drawing.id)) map.removeLayer(drawing.id)
      if (map.getSource(id)) map.removeSource(id)
    }
  }, [map, id, shape, filter])
}

const NOTHING: FeatureCollection = { type: 'FeatureCollection', features: [] }

/** GeoJSON on the map; changing `data` moves it. */
export function GeoJsonLayers({
  data,
  cluster,
  ...common
}: Common & { data: FeatureCollection | undefined; cluster?: boolean }) {
  const map = useMap()
  useDrawings(common, (source) =>
    map.addSource(source, {
      type: 'geojson',
      data: data ?? NOTHING,
      ...(cluster ? { cluster: true, clusterRadius: 40 } : {}),
    }),
  )
  useEffect(() => {
    map.getSource<GeoJSONSource>(common.id)?.setData(data ?? NOTHING)
  }, [map, common.id, data])
  return null
}

/** Vector tiles of the API, e.g. `/v1/tiles/stores/{z}/{x}/{y}.mvt`. Each drawing names its `source-layer`. */
export function TileLayers({
  tiles,
  minzoom = 0,
  maxzoom = 16,
  ...common
}: Common & { tiles: string; minzoom?: number; maxzoom?: number }) {
  const map = useMap()
  useDrawings(common, (source) =>
    map.addSource(source, {
      type: 'vector',
      tiles: [new URL(tiles, window.location.origin).href.replaceAll('%7B', '{').replaceAll('%7D', '}')],
      minzoom,
      maxzoom,
    }),
  )
  return null
}

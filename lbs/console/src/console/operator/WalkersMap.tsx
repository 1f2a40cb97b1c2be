// People who glide from where they were a second ago to where they are.
import type { FeatureCollection } from 'geojson'
import type { GeoJSONSource } from 'maplibre-gl'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Schemas } from '@/shared/api/client'
import { LazyMap } from '@/shared/map'
import { GeoJsonLayers, TileLayers } from '@/shared/map/Layers'
import { useMap } from '@/shared/map/MapView'
import { INK } from '@/shared/theme'
import { useSession } from '../session'

type Walker = Schemas['WalkerView']

const SOURCE = 'walkers'
const GLIDE_MS = 1_000
const HEIGHT = 'min(70vh, 640px)'

export default function WalkersMap({ walkers }: { walkers: readonly Walker[] }) {
  const { t } = useTranslation('operator')
  const { installation } = useSession()
  const [bounds] = useState(() => around(walkers))
  return (
    <LazyMap label={t('live.map')} height={HEIGHT} bounds={bounds} styleUrl={installation.map_style_url}>
      <TileLayers
        id="fences"
        tiles="/v1/tiles/fences/{z}/{x}/{y}.mvt"
        drawings={[
          {
            id: 'fences-fill',
            type: 'fill',
            'source-layer': 'fences',
            paint: { 'fill-color': INK.fence, 'fill-opacity': 0.12, 'fill-outline-color': INK.fence },
          },
        ]}
      />
      <GeoJsonLayers
        id={SOURCE}
        data={undefined}
        drawings={[
          {
            id: 'walkers-dot',
            type: 'circle',
            paint: {
              'circle-radius': ['interpolate', ['linear'], ['zoom'], 11, 3, 16, 7],
              'circle-color': INK.offer,
              'circle-stroke-color': '#fff',
              'circle-stroke-width': 1.5,
            },
          },
        ]}
      />
      <Glide walkers={walkers} />
    </LazyMap>
  )
}

type Place = readonly [lng: number, lat: number]

/** Moves everybody on the map, a frame at a time; at once for those who want no motion. */
function Glide({ walkers }: { walkers: readonly Walker[] }) {
  const map = useMap()
  const drawn = useRef(new Map<string, Place>())
  useEffect(() => {
    const from = new Map(drawn.current)
    const began = performance.now()
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches
    let frame = 0
    const draw = (now: number) => {
      const part = still ? 1 : Math.min(1, Math.max(0, now - began) / GLIDE_MS)
      const places = walkers.map(({ id, lng, lat }): [string, Place] => {
        const [x, y] = from.get(id) ?? [lng, lat]
        return [id, [x + (lng - x) * part, y + (lat - y) * part]]
      })
      drawn.current = new Map(places)
      map.getSource<GeoJSONSource>(SOURCE)?.setData(points(places))
      if (part < 1) frame = requestAnimationFrame(draw)
    }
    frame = requestAnimationFrame(draw)
    return () => cancelAnimationFrame(frame)
  }, [map, walkers])
  return null
}

function points(places: readonly [string, Place][]): FeatureCollection {
  return {
    type: 'FeatureCollection',
    features: places.map(([id, place]) => ({
      type: 'Feature',
      properties: { id },
      geometry: { type: 'Point', coordinates: [...place] },
    })),
  }
}

/** Where they are when the map opens: it does not follow them. */
function around(walkers: readonly Walker[]): [number, number, number, number] {
  const lats = walkers.map((one) => one.lat)
  const lngs = walkers.map((one) => one.lng)
  return [Math.min(...lngs), Math.min(...lats), Math.max(...lngs), Math.max(...lats)]
}

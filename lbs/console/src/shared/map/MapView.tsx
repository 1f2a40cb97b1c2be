// A MapLibre map and what lies on it: children add their sources and layers through `useMap`.
import 'maplibre-gl/dist/maplibre-gl.css'
import { Alert, Box, Skeleton, useComputedColorScheme } from '@mantine/core'
import {
  AttributionControl,
  type LngLatBoundsLike,
  Map as MapLibre,
  NavigationControl,
  setWorkerUrl,
} from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { createContext, type ReactNode, useContext, useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { sessionHeaders } from '../api/client'
import { ownStyle } from './style'

setWorkerUrl(workerUrl)

const Here = createContext<MapLibre | null>(null)

/** The map around; only inside a MapView, where it is loaded. */
export function useMap(): MapLibre {
  const map = useContext(Here)
  if (map === null) throw new Error('useMap outside of a MapView')
  return map
}

export interface MapViewProps {
  /** What the map shows, for those who do not see it. */
  label: string
  height?: number | string
  /** [west, south, east, north] in degrees: where it opens. Changing it moves the map there. */
  bounds?: readonly [number, number, number, number] | null
  /** Somebody else's MapLibre style in place of our own base map. */
  styleUrl?: string | null
  onClick?: (at: { lat: number; lng: number }) => void
  children?: ReactNode
}

const MAX_ZOOM = 20
const OPENS_AT_MOST = 16

export default function MapView({ label, height = 480, bounds, styleUrl, onClick, children }: MapViewProps) {
  const { t } = useTranslation('shared')
  const scheme = useComputedColorScheme('light')
  const box = useRef<HTMLDivElement>(null)
  const camera = useRef<{ center: [number, number]; zoom: number } | null>(null)
  const click = useRef(onClick)
  click.current = onClick
  const opened = useRef(bounds)
  const [map, setMap] = useState<MapLibre | null>(null)
  const [failed, setFailed] = useState(false)

  useEffect(() => {
    let gone = false
    let made: MapLibre | undefined
    const begin = async () => {
      const style = styleUrl || (await ownStyle(scheme))
      if (gone || box.current === null) return
      try {
        made = new MapLibre({
          container: box.current,
          style,
          maxZoom: MAX_ZOOM,
          attributionControl: false,
          // the tiles of ours are the tenant's
          transformRequest: (url) =>
            url.startsWith(window.location.origin) ? { url, headers: sessionHeaders() } : { url },
          ...(camera.current ??
            (opened.current
              ? { bounds: edges(opened.current), fitBoundsOptions: { padding: 40, maxZoom: OPENS_AT_MOST } }
              : { center: [10, 30] as [number, number], zoom: 1 })),
          locale: {
            'NavigationControl.ZoomIn': t('map.zoom_in'),
            'NavigationControl.ZoomOut': t('map.zoom_out'),
            'NavigationControl.ResetBearing': t('map.north'),
            'Map.Title': label,
          },
        })
      } catch {
        setFailed(true)
        return
      }
      made.addControl(new NavigationControl({ visualizePitch: false }), 'top-right')
      made.addControl(new AttributionControl({ compact: true }))
      made.on('click', (event) => click.current?.({ lat: event.lngLat.lat, lng: event.lngLat.lng }))
      made.once('load', () => !gone && setMap(made ?? null))
    }
    void begin()
    return () => {
      gone = true
      setMap(null)
      if (made) {
        const { lng, lat } = made.getCenter()
        camera.current = { center: [lng, lat], zoom: made.getZoom() }
        // children take their layers off first
        queueMicrotask(() => made?.remove())
      }
    }
  }, [scheme, styleUrl, label, t])

  const wanted = bounds ? bounds.join() : ''
  useEffect(() => {
    if (map === null || wanted === '' || opened.current?.join() === wanted) return
    const [west = 0, south = 0, east = 0, north = 0] = wanted.split(',').map(Number)
    opened.current = [west, south, east, north]
    map.fitBounds(edges(opened.current), { padding: 40, maxZoom: OPENS_AT_MOST, animate: false })
  }, [map, wanted])

  if (failed) return <Alert color="yellow">{t('map.failed')}</Alert>
  return (
    <Box pos="relative" h={height} style={{ borderRadius: 'var(--mantine-radius-md)', overflow: 'hidden' }}>
      {map === null && <Skeleton pos="absolute" inset={0} style={{ zIndex: 1 }} radius={0} />}
      <Box ref={box} h="100%" data-map-ready={map !== null} />
      {map && <Here.Provider value={map}>{children}</Here.Provider>}
    </Box>
  )
}

/** A box that crosses the antimeridian has west > east; the map wants east beyond 180. */
function edges([west, south, east, north]: readonly [number, number, number, number]): LngLatBoundsLike {
  return [west, south, east < west ? east + 360 : east, north]
}

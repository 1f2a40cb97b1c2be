import type { FeatureCollection } from 'geojson'
import { useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Stack, Text } from '@mantine/core'
import { LazyMap } from '@/shared/map'
import { type Drawing, GeoJsonLayers } from '@/shared/map/Layers'
import { INK } from '@/shared/theme'
import { OfferCard } from './OfferCard'
import type { NearOffers } from './offers'
import { boundsOf, pointsOf } from './points'

const STORES: Drawing[] = [
  {
    id: 'offers',
    type: 'circle',
    paint: {
      'circle-radius': 9,
      'circle-color': INK.offer,
      'circle-stroke-width': 2,
      'circle-stroke-color': '#ffffff',
    },
  },
]
const HERE: Drawing[] = [
  {
    id: 'here',
    type: 'circle',
    paint: {
      'circle-radius': 7,
      'circle-color': INK.fresh,
      'circle-stroke-width': 3,
      'circle-stroke-color': '#ffffff',
    },
  },
]
const AROUND = 12

/** The list's stores on a map; the one that is pressed is shown below it. The list has the same without a map. */
export default function NearbyMap({
  items,
  at,
}: {
  items: readonly NearOffers[]
  at: { lat: number; lng: number } | null
}) {
  const { t } = useTranslation('app')
  const [picked, setPicked] = useState<string | null>(null)
  const stores = useMemo<FeatureCollection>(() => pointsOf(items), [items])
  const here = useMemo<FeatureCollection>(() => pointsOf(at ? [{ ...at, store_id: '', name: '' }] : []), [at])
  // opens on the nearest ones; more of the list must not move it under the finger
  const [first] = useState(items.slice(0, AROUND))
  const bounds = useMemo(() => boundsOf([...first, ...(at && first.length ? [at] : [])]), [first, at])
  const [opening] = useState(bounds)
  const one = items.find((item) => item.store_id === picked)
  return (
    <Stack>
      <LazyMap label={t('nearby.map_label')} height="min(60vh, 520px)" bounds={opening}>
        <GeoJsonLayers id="offers" data={stores} drawings={STORES} onPick={(of) => setPicked(String(of.store_id))} />
        <GeoJsonLayers id="here" data={here} drawings={HERE} />
      </LazyMap>
      <div role="status">{one ? <OfferCard store={one} /> : <Text size="sm">{t('nearby.press')}</Text>}</div>
    </Stack>
  )
}

import { Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { FeatureCollection } from 'geojson'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { body } from '@/shared/api/client'
import { LazyMap } from '@/shared/map'
import { type Drawing, GeoJsonLayers } from '@/shared/map/Layers'
import { INK } from '@/shared/theme'
import { useApi } from './device'
import { boundsOf, pointsOf } from './points'

const STORES: Drawing[] = [
  { id: 'stores', type: 'circle', paint: { 'circle-radius': 4, 'circle-color': INK.place, 'circle-opacity': 0.7 } },
]

/** A map of the stores; where it is pressed is the place. */
export default function PickMap({ pick }: { pick: (at: { lat: number; lng: number }) => void }) {
  const { t } = useTranslation('app')
  const api = useApi()
  const stores = useQuery({
    queryKey: ['some stores'],
    queryFn: () =>
      body(
        api.GET('/v1/stores/nearby', {
          params: { query: { lat: 0, lng: 0, limit: 500, open_now: false, sort: 'distance' } },
        }),
      ),
    staleTime: 600_000,
  })
  const data = useMemo<FeatureCollection>(() => pointsOf(stores.data?.items ?? []), [stores.data])
  const bounds = useMemo(() => boundsOf(stores.data?.items ?? []), [stores.data])
  return (
    <>
      <Text size="sm">{t('place.press')}</Text>
      <LazyMap label={t('place.on_map')} height={320} bounds={bounds} onClick={pick}>
        <GeoJsonLayers id="stores" data={data} drawings={STORES} />
      </LazyMap>
    </>
  )
}

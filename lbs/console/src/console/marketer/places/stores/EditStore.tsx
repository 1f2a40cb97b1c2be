import '../texts'
import { Text } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate, useParams, useSearchParams } from 'react-router'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { LazyPlaceMap } from '../LazyPlaceMap'
import { saveStore, type Store, useBounds, useStore, useWrite } from '../queries'
import { MAP_HEIGHT, Split, TALL_MAP } from '../Split'
import { useTall } from '../useTall'
import { StoreForm } from './StoreForm'

interface Place {
  lat: number
  lng: number
}

/** A store is made or changed; its place is typed, or clicked on the map. */
export default function EditStore() {
  const { storeId = null } = useParams()
  const store = useStore(storeId)
  return storeId === null ? <Editor store={null} /> : <Asked query={store}>{(found) => <Editor store={found} />}</Asked>
}

function Editor({ store }: { store: Store | null }) {
  const { t } = useTranslation(['places', 'shared'])
  const navigate = useNavigate()
  const tall = useTall()
  const bounds = useBounds()
  const [params] = useSearchParams()
  const [place, setPlace] = useState<Place | null>(() => store ?? asked(params))
  const save = useWrite(saveStore, (saved) => {
    notifications.show({ message: t('saved', { name: saved.name }) })
    void navigate(`/stores/${saved.store_id}`)
  })
  const [opensAt] = useState(() => (place ? around(place) : null))
  return (
    <Page title={store ? t('store.edit', { name: store.name }) : t('stores.new')}>
      <Split
        map={
          <>
            <LazyPlaceMap
              label={t('store.place_map')}
              height={tall ? TALL_MAP : MAP_HEIGHT}
              bounds={opensAt ?? bounds.data ?? null}
              layers={{ stores: true, fences: true }}
              onClick={({ lat, lng }) => setPlace({ lat: Number(lat.toFixed(7)), lng: Number(lng.toFixed(7)) })}
              marked={
                place
                  ? [
                      {
                        type: 'Feature',
                        properties: { as: 'listed' },
                        geometry: { type: 'Point', coordinates: [place.lng, place.lat] },
                      },
                    ]
                  : []
              }
            />
            <Text size="xs" c="dimmed" mt={4}>
              {t('store.click')}
            </Text>
          </>
        }
        side={
          <StoreForm
            store={store}
            place={place}
            onPlace={setPlace}
            saving={save.isPending}
            error={save.error}
            onSave={(values) => save.mutate({ storeId: store?.store_id ?? null, values })}
            onCancel={() => void navigate(store ? `/stores/${store.store_id}` : '/stores')}
          />
        }
      />
    </Page>
  )
}

const NEAR_DEG = 0.003
const around = ({ lat, lng }: Place) => [lng - NEAR_DEG, lat - NEAR_DEG, lng + NEAR_DEG, lat + NEAR_DEG] as const

function asked(params: URLSearchParams): Place | null {
  const [lat, lng] = [Number(params.get('lat') ?? Number.NaN), Number(params.get('lng') ?? Number.NaN)]
  return Number.isFinite(lat) && Number.isFinite(lng) ? { lat, lng } : null
}

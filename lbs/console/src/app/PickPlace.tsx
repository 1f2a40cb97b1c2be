import { Button, Group, Modal, NavLink, Stack, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconMap, IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { body } from '@/shared/api/client'
import { Asked, Loading } from '@/shared/ui/Asked'
import { useApi } from './device'
import { cellAt, type Chosen, useChosen } from './where'

const PickMap = lazy(() => import('./PickMap'))

/** Choosing a place without telling where one is: near a store whose name, street or town one types, or on the map. */
export function PickPlace({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation('app')
  const { set } = useChosen()
  const [onMap, setOnMap] = useState(false)
  const pick = async (name: string, at: { lat: number; lng: number }) => {
    const chosen: Chosen = { name, cell: await cellAt(at), lat: at.lat, lng: at.lng }
    set(chosen)
    onClose()
  }
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t('place.title')}
      size="lg"
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      <Stack>
        <Text size="sm" c="dimmed">
          {t('place.lead')}
        </Text>
        <Typed pick={(name, at) => void pick(name, at)} />
        <Button
          variant="default"
          leftSection={<IconMap size={18} aria-hidden />}
          onClick={() => setOnMap(!onMap)}
          aria-expanded={onMap}
        >
          {t('place.on_map')}
        </Button>
        {onMap && (
          <Suspense fallback={<Loading />}>
            <PickMap pick={(at) => void pick(t('place.map_point'), at)} />
          </Suspense>
        )}
      </Stack>
    </Modal>
  )
}

function Typed({ pick }: { pick: (name: string, at: { lat: number; lng: number }) => void }) {
  const { t } = useTranslation('app')
  const api = useApi()
  const [text, setText] = useState('')
  const [q] = useDebouncedValue(text.trim(), 300)
  const found = useQuery({
    queryKey: ['places', q],
    enabled: q.length > 1,
    // nearest first without end: from anywhere, every store that the words fit is found
    queryFn: () =>
      body(
        api.GET('/v1/stores/nearby', {
          params: { query: { lat: 0, lng: 0, q, limit: 8, open_now: false, sort: 'distance' } },
        }),
      ),
  })
  return (
    <Stack gap="xs">
      <TextInput
        label={t('place.typed')}
        placeholder={t('place.example')}
        leftSection={<IconSearch size={16} aria-hidden />}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        autoComplete="off"
        data-autofocus
      />
      <div role="status">
        {q.length > 1 && (
          <Asked query={found}>
            {({ items }) =>
              items.length === 0 ? (
                <Text size="sm">{t('place.nothing')}</Text>
              ) : (
                <Group gap={0}>
                  {items.map((store) => (
                    <NavLink
                      key={store.store_id}
                      component="button"
                      label={store.name}
                      description={store.address}
                      onClick={() => pick(store.name, store)}
                    />
                  ))}
                </Group>
              )
            }
          </Asked>
        )}
      </div>
    </Stack>
  )
}

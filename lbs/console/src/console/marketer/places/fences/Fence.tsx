import '../texts'
import { Alert, Anchor, Button, Paper, Stack, Text, Title } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconClock, IconPencil } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useParams } from 'react-router'
import { useMay } from '@/console/session'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ConfirmDelete } from '../ConfirmDelete'
import { Facts } from '../Facts'
import { LazyPlaceMap } from '../LazyPlaceMap'
import { deleteFence, type Fence as FenceView, useFence, useStore, useWrite } from '../queries'
import { MAP_HEIGHT, Split, TALL_MAP } from '../Split'
import { useNow } from '../useNow'
import { useTall } from '../useTall'
import { PROFILES, SETTINGS, settingText } from './profiles'
import { boundsOf, fromView, outlineOf } from './shape'

const OWN_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone

export default function Fence() {
  const { fenceId = '' } = useParams()
  const fence = useFence(fenceId)
  return <Asked query={fence}>{(found) => <OneFence fence={found} />}</Asked>
}

function OneFence({ fence }: { fence: FenceView }) {
  const { t } = useTranslation(['places', 'shared'])
  const may = useMay()
  const navigate = useNavigate()
  const tall = useTall()
  const format = useFormat()
  const now = useNow(1_000)
  const store = useStore(fence.store_id)
  const shape = fromView(fence)
  const name = fence.name ?? fence.external_id
  const zone = store.data?.timezone ?? OWN_ZONE
  const when = (instant: string) => `${format.dateTime(instant, zone)} (${zone})`
  const deletion = useWrite(deleteFence, () => {
    notifications.show({ message: t('fence.deleted', { name }) })
    void navigate('/fences')
  })
  return (
    <Page
      title={name}
      lead={
        shape.kind === 'circle'
          ? t('fence.circle_of', { radius: format.distance(shape.radiusM) })
          : t('fence.parts', { count: shape.polygons.length })
      }
      actions={
        <>
          {may('replace_fence') && (
            <Button
              component={Link}
              to={`/fences/${fence.fence_id}/edit`}
              variant="default"
              leftSection={<IconPencil size={16} aria-hidden />}
            >
              {t('edit')}
            </Button>
          )}
          {may('delete_fence') && (
            <ConfirmDelete title={t('fence.delete', { name })} deletion={deletion} id={fence.fence_id}>
              {t('fence.delete_what')}
            </ConfirmDelete>
          )}
        </>
      }
    >
      {Date.parse(fence.effective_at) > now && (
        <Alert icon={<IconClock aria-hidden />} role="status">
          {t('fence.soon', { at: when(fence.effective_at) })}
        </Alert>
      )}
      <Split
        map={
          <LazyPlaceMap
            label={t('fence.map', { name })}
            height={tall ? TALL_MAP : MAP_HEIGHT}
            bounds={boundsOf([shape])}
            layers={{ stores: true, fences: true, cells: true }}
            onStore={(storeId) => navigate(`/stores/${storeId}`)}
            onFence={(fenceId) => navigate(`/fences/${fenceId}`)}
            marked={[outlineOf(shape, { as: 'now' as const })]}
          />
        }
        side={
          <Stack>
            <Paper withBorder p="md" component="section">
              <Title order={2} size="h5" mb="xs">
                {t('fence.about')}
              </Title>
              <Facts
                facts={[
                  [t('external_id'), fence.external_id],
                  [
                    t('fence.store'),
                    store.data && (
                      <Anchor component={Link} to={`/stores/${store.data.store_id}`} size="sm">
                        {store.data.name}
                      </Anchor>
                    ),
                  ],
                  [
                    t('fence.center'),
                    shape.kind === 'circle' && `${shape.center.lat.toFixed(6)}, ${shape.center.lng.toFixed(6)}`,
                  ],
                  [t('fence.version'), format.number(fence.version)],
                  [t('fence.effective_at'), when(fence.effective_at)],
                  [t('fence.updated_at'), when(fence.updated_at)],
                ].map(([label, value]) => [String(label), value === false ? null : value] as const)}
              />
            </Paper>
            <Settings fence={fence} />
          </Stack>
        }
      />
    </Page>
  )
}

function Settings({ fence }: { fence: FenceView }) {
  const { t } = useTranslation('places')
  const format = useFormat()
  const usual = PROFILES[fence.profile as keyof typeof PROFILES] ?? PROFILES.standard
  return (
    <Paper withBorder p="md" component="section">
      <Title order={2} size="h5">
        {t('fence.settings')}
      </Title>
      <Text size="xs" c="dimmed" mb="xs">
        {t('fence.profile')}: {t(`profile.${fence.profile}` as never)}
      </Text>
      <Facts
        facts={SETTINGS.map((name) => {
          const own = fence.settings[name]
          const value = settingText(name, own ?? usual[name], format, t('off'))
          return [t(`setting.${name}.label` as never), own === undefined ? value : <b key={name}>{value}</b>] as const
        })}
      />
    </Paper>
  )
}

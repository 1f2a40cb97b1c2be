import '../texts'
import { Anchor, Badge, Button, Group, Paper, Stack, Text, Title } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconChartBar, IconPencil, IconPlus } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useParams } from 'react-router'
import { useMay } from '@/console/session'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ConfirmDelete } from '../ConfirmDelete'
import { Facts } from '../Facts'
import { FenceRow } from '../fences/FenceRow'
import { boundsOf, fromView, outlineOf } from '../fences/shape'
import { LazyPlaceMap } from '../LazyPlaceMap'
import {
  deleteStore,
  type Fence,
  type Store as StoreView,
  useCampaigns,
  useFencesOf,
  useStore,
  useWrite,
} from '../queries'
import { Rows } from '../Rows'
import { runsAt } from '../runsAt'
import { MAP_HEIGHT, Split, TALL_MAP } from '../Split'
import { useTall } from '../useTall'
import { Hours } from './Hours'

export default function Store() {
  const { storeId = '' } = useParams()
  const store = useStore(storeId)
  return <Asked query={store}>{(found) => <OneStore store={found} />}</Asked>
}

function OneStore({ store }: { store: StoreView }) {
  const { t } = useTranslation(['places', 'shared'])
  const may = useMay()
  const navigate = useNavigate()
  const deletion = useWrite(deleteStore, () => {
    notifications.show({ message: t('store.deleted', { name: store.name }) })
    void navigate('/stores')
  })
  return (
    <Page
      title={store.name}
      lead={[store.brand, store.categories.join(', ')].filter(Boolean).join(' · ')}
      actions={
        <>
          {may('hourly_traffic') && (
            <Button
              component={Link}
              to={`/dashboard/${store.store_id}`}
              variant="default"
              leftSection={<IconChartBar size={16} aria-hidden />}
            >
              {t('store.traffic')}
            </Button>
          )}
          {may('replace_store') && (
            <Button
              component={Link}
              to={`/stores/${store.store_id}/edit`}
              variant="default"
              leftSection={<IconPencil size={16} aria-hidden />}
            >
              {t('edit')}
            </Button>
          )}
          {may('delete_store') && (
            <ConfirmDelete title={t('store.delete', { name: store.name })} deletion={deletion} id={store.store_id}>
              {t('store.delete_what')}
            </ConfirmDelete>
          )}
        </>
      }
    >
      <WithFences store={store} />
    </Page>
  )
}

function WithFences({ store }: { store: StoreView }) {
  const { t } = useTranslation('places')
  const may = useMay()
  const tall = useTall()
  const navigate = useNavigate()
  const fences = useFencesOf(may('list_fences') ? store.store_id : null)
  const shapes = (fences.data ?? []).map(fromView)
  const here = { kind: 'circle', center: { lat: store.lat, lng: store.lng }, radiusM: 120 } as const
  return (
    <Split
      map={
        <LazyPlaceMap
          label={t('store.map', { name: store.name })}
          height={tall ? TALL_MAP : MAP_HEIGHT}
          bounds={boundsOf([here, ...shapes])}
          layers={{ stores: true, fences: true }}
          onStore={(storeId) => navigate(`/stores/${storeId}`)}
          marked={[
            ...shapes.map((shape) => outlineOf(shape, { as: 'now' as const })),
            {
              type: 'Feature',
              properties: { as: 'place' },
              geometry: { type: 'Point', coordinates: [store.lng, store.lat] },
            },
          ]}
        />
      }
      side={
        <Stack>
          <Part title={t('store.about')}>
            <Facts
              facts={[
                [t('external_id'), store.external_id],
                [t('store.address'), store.address],
                [t('store.phone'), store.phone],
                [t('store.url'), store.url && <WebLink url={store.url} />],
                [t('store.position'), `${store.lat.toFixed(6)}, ${store.lng.toFixed(6)}`],
                [t('store.timezone'), store.timezone],
                ...Object.entries(store.attributes).map(([name, value]) => [name, asText(value)] as const),
              ]}
            />
          </Part>
          {may('store_open') && (
            <Part title={t('store.opening_hours')}>
              <Hours store={store} />
            </Part>
          )}
          {may('list_fences') && (
            <Part
              title={t('fences.title')}
              action={
                may('create_fence') && (
                  <Button
                    component={Link}
                    to={`/fences/new?store=${store.store_id}`}
                    size="compact-sm"
                    variant="light"
                    leftSection={<IconPlus size={14} aria-hidden />}
                  >
                    {t('fences.new')}
                  </Button>
                )
              }
            >
              <Asked query={fences}>
                {(found) =>
                  found.length === 0 ? (
                    <Text size="sm">{t('store.no_fences')}</Text>
                  ) : (
                    <Rows label={t('fences.title')}>
                      {found.map((fence) => (
                        <FenceRow key={fence.fence_id} fence={fence} />
                      ))}
                    </Rows>
                  )
                }
              </Asked>
            </Part>
          )}
          {may('list_campaigns') && fences.data && <Campaigns storeId={store.store_id} fences={fences.data} />}
        </Stack>
      }
    />
  )
}

function Campaigns({ storeId, fences }: { storeId: string; fences: readonly Fence[] }) {
  const { t } = useTranslation('places')
  const campaigns = useCampaigns()
  const ids = new Set(fences.map((fence) => fence.fence_id))
  return (
    <Part title={t('store.campaigns')}>
      <Asked query={campaigns}>
        {(all) => {
          const here = all.filter(
            (one) => one.status !== 'archived' && one.status !== 'ended' && runsAt(one, storeId, ids),
          )
          if (here.length === 0) return <Text size="sm">{t('store.no_campaigns')}</Text>
          return (
            <Stack gap={6} component="ul" m={0} p={0} style={{ listStyle: 'none' }}>
              {here.map((campaign) => (
                <Group key={campaign.campaign_id} component="li" justify="space-between" wrap="nowrap">
                  <Anchor component={Link} to={`/campaigns/${campaign.campaign_id}`} size="sm">
                    {campaign.name}
                  </Anchor>
                  <Badge variant="light" color={campaign.status === 'live' ? 'teal' : 'gray'}>
                    {t(`status.${campaign.status}` as never)}
                  </Badge>
                </Group>
              ))}
            </Stack>
          )
        }}
      </Asked>
    </Part>
  )
}

function Part({ title, action, children }: { title: string; action?: ReactNode; children: ReactNode }) {
  return (
    <Paper withBorder p="md" component="section">
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h5">
          {title}
        </Title>
        {action}
      </Group>
      {children}
    </Paper>
  )
}

function WebLink({ url }: { url: string }) {
  // what an import brought may be anything
  if (!/^https?:\/\//i.test(url)) return <>{url}</>
  return (
    <Anchor href={url} target="_blank" rel="noopener noreferrer" size="sm">
      {url}
    </Anchor>
  )
}

const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

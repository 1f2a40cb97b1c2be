// Why a phone got the offer or not, and what would happen if: every gate in order, in words. Never a coordinate.
import { Alert, Badge, Button, Group, Paper, SegmentedControl, SimpleGrid, Stack, Text, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useParams } from 'react-router'
import { api, body, Problem } from '@/shared/api/client'
import { Asked, Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useQueryParams } from './asked'
import { campaignKey, useCampaign, useStores } from './data'
import { StoreSelect } from './edit/WindowsPreview'
import { Decision } from './explain/Decision'
import { type CampaignView, type StoreView } from './model'
import { TEXTS } from './texts'
import { instantIn } from './zoned'

const MomentField = lazy(() => import('./explain/MomentField'))

type Mode = 'happened' | 'if'
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone

export default function Explain() {
  const { id = '' } = useParams()
  const query = useCampaign(id)
  return <Asked query={query}>{(campaign) => <Shown campaign={campaign} />}</Asked>
}

function Shown({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const { asked, ask } = useQueryParams()
  const mode: Mode = asked.get('mode') === 'if' ? 'if' : 'happened'
  const stores = useStores()
  return (
    <Page
      title={t('explain.title')}
      lead={t('explain.lead')}
      actions={
        <Button component={Link} to={`/campaigns/${campaign.campaign_id}`} variant="subtle">
          {t('edit.back_to', { name: campaign.name })}
        </Button>
      }
    >
      <SegmentedControl
        aria-label={t('explain.mode')}
        value={mode}
        onChange={(value) => ask({ mode: value === 'if' ? 'if' : null })}
        data={(['happened', 'if'] as const).map((one) => ({ value: one, label: t(`explain.modes.${one}`) }))}
        style={{ alignSelf: 'flex-start' }}
      />
      <Question key={mode} mode={mode} stores={stores.data ?? []} />
      <Answer campaign={campaign} mode={mode} stores={stores.data ?? []} />
    </Page>
  )
}

function Question({ mode, stores }: { mode: Mode; stores: readonly StoreView[] }) {
  const { t } = useTranslation(TEXTS)
  const { asked, ask } = useQueryParams()
  const [device, setDevice] = useState(asked.get('device') ?? '')
  const [store, setStore] = useState(asked.get('store'))
  const [at, setAt] = useState(asked.get('at'))
  const zone = stores.find((one) => one.store_id === store)?.timezone ?? HERE
  const ready = mode === 'happened' ? device.trim() !== '' : store !== null
  return (
    <Paper withBorder p="md">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          ask({ device: device.trim(), ...(mode === 'if' ? { store, at } : { store: null, at: null }) })
        }}
      >
        <SimpleGrid cols={{ base: 1, sm: mode === 'if' ? 3 : 1 }} maw={mode === 'if' ? undefined : 420}>
          <TextInput
            label={t('explain.device')}
            description={t(mode === 'if' ? 'explain.device_none' : 'explain.device_hint')}
            required={mode === 'happened'}
            value={device}
            onChange={(event) => setDevice(event.currentTarget.value)}
          />
          {mode === 'if' && (
            <>
              <StoreSelect
                label={t('explain.store')}
                description={t('explain.store_hint')}
                stores={stores}
                value={store}
                onChange={setStore}
                required
              />
              <Suspense>
                <MomentField
                  label={t('explain.at')}
                  description={t('explain.at_hint', { zone })}
                  placeholder={t('explain.now')}
                  value={at}
                  onChange={setAt}
                />
              </Suspense>
            </>
          )}
        </SimpleGrid>
        <Group mt="md">
          <Button type="submit" disabled={!ready}>
            {t('explain.ask')}
          </Button>
        </Group>
      </form>
    </Paper>
  )
}

interface AnswerProps {
  campaign: CampaignView
  mode: Mode
  stores: readonly StoreView[]
}

function Answer({ campaign, mode, stores }: AnswerProps) {
  const { t } = useTranslation(TEXTS)
  const { asked } = useQueryParams()
  const device = asked.get('device')
  const store = mode === 'if' ? asked.get('store') : null
  const at = mode === 'if' ? asked.get('at') : null
  const zone = stores.find((one) => one.store_id === store)?.timezone ?? HERE
  const wanted = Boolean(mode === 'happened' ? device : store)
  const when = mode === 'if' ? (at ? instantIn(zone, at.slice(0, 16)) : 'now') : null
  const query = useQuery({
    queryKey: [...campaignKey(campaign.campaign_id), 'explain', device, store, when],
    queryFn: ({ signal }) =>
      body(
        api.GET('/v1/campaigns/{campaign_id}/explain', {
          params: {
            path: { campaign_id: campaign.campaign_id },
            query: {
              ...(device ? { device_id: device } : {}),
              ...(store ? { store_id: store } : {}),
              ...(when ? { at: when === 'now' ? new Date().toISOString() : when } : {}),
            },
          },
          signal,
        }),
      ),
    enabled: wanted && (mode === 'happened' || stores.length > 0),
  })
  if (!wanted) return null
  if (query.error) {
    const missing = query.error instanceof Problem && query.error.status === 404
    return missing ? <Alert color="yellow">{t('explain.unknown')}</Alert> : <ProblemNote error={query.error} />
  }
  if (!query.data) return <Loading />
  const { items } = query.data
  return (
    <Stack gap="md" component="section" aria-live="polite">
      {mode === 'if' && (
        <Group gap="xs">
          <Badge variant="light" tt="none">
            {t('explain.supposed')}
          </Badge>
          <Text size="sm" c="dimmed">
            {t('explain.supposed_hint')}
          </Text>
        </Group>
      )}
      {items.length === 0 && <Alert color="gray">{t('explain.nothing')}</Alert>}
      {items.map((one, index) => (
        <Decision
          key={one.decision_id ?? index}
          decision={one}
          store={stores.find((store) => store.store_id === one.store_id)}
          campaign={campaign}
        />
      ))}
    </Stack>
  )
}

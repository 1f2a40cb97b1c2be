import { Alert, Anchor, Badge, Button, Group, Image, List, Stack, Text, Title } from '@mantine/core'
import { IconArrowLeft } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useParams } from 'react-router'
import { body, Problem, type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { CLAIMS } from './claims'
import { useApi, useDevice } from './device'
import { useMessages, useOpened } from './inbox'
import { OpenState } from './OpenState'
import { NO_STORE, type Offer as Terms, useOffersOf, useStore, useWorth } from './offers'
import { usePlace } from './Place'
import { metres } from './positions'

interface Shown {
  title: string
  body: string
  offer: Terms
  ends_at: string | null
}

export default function Offer() {
  const { t } = useTranslation('app')
  const { storeId = NO_STORE, campaignId = '' } = useParams()
  const at = storeId === NO_STORE ? null : storeId
  const store = useStore(at)
  const offers = useOffersOf(store.data)
  const message = useMessages().find(({ data }) => data.campaign_id === campaignId && (data.store_id ?? null) === at)
  const opened = useOpened()
  const unread = message && !message.opened ? message.message_id : null
  useEffect(() => {
    if (unread) opened(unread)
  }, [unread, opened])

  const found = offers.data?.find((one) => one.campaign_id === campaignId)
  // what a message promised holds, even where a search no longer shows it
  const promised: Shown | undefined = message?.data.offer && {
    ...message,
    offer: message.data.offer,
    ends_at: message.expires_at,
  }
  const shown: Shown | undefined = found ?? promised
  if (shown) return <Details shown={shown} store={store.data} storeId={at} campaignId={campaignId} />
  const failed = store.error ?? offers.error
  if (failed) return <Page title={t('offer.title')}>{<ProblemNote error={failed} />}</Page>
  if (store.isLoading || offers.isLoading) return <Loading />
  return (
    <Page title={t('offer.title')}>
      <Text>{t('offer.over')}</Text>
      <Anchor component={Link} to="/">
        {t('offer.others')}
      </Anchor>
    </Page>
  )
}

interface Props {
  shown: Shown
  store: Schemas['StoreView'] | undefined
  storeId: string | null
  campaignId: string
}

function Details({ shown, store, storeId, campaignId }: Props) {
  const { t } = useTranslation('app')
  const format = useFormat()
  const worth = useWorth()
  const navigate = useNavigate()
  const { here } = usePlace()
  const { offer } = shown
  const zone = store?.timezone
  return (
    <Page title={shown.title}>
      <Button
        variant="subtle"
        size="compact-sm"
        w="fit-content"
        leftSection={<IconArrowLeft size={16} aria-hidden />}
        onClick={() => void navigate(-1)}
      >
        {t('shared:back')}
      </Button>
      {offer.image_url && <Image src={offer.image_url} alt="" radius="md" mah={280} fit="cover" />}
      <Stack gap="xs">
        {worth(offer) && (
          <Badge size="xl" variant="light" color="orange" c="light-dark(#9a3b04, #ffc078)" tt="none">
            {worth(offer)}
          </Badge>
        )}
        {shown.body && <Text>{shown.body}</Text>}
        <List size="sm" spacing={4}>
          {offer.min_spend ? (
            <List.Item>{t('offer.min_spend', { amount: money(format, offer.min_spend, offer.currency) })}</List.Item>
          ) : null}
          {offer.terms && <List.Item>{offer.terms}</List.Item>}
          {offer.valid_after_claim_s && (
            <List.Item>{t('offer.valid_for', { time: format.duration(offer.valid_after_claim_s) })}</List.Item>
          )}
          {shown.ends_at && (
            <List.Item>
              {t('offer.until', { when: format.dateTime(shown.ends_at, zone), zone: zone ?? t('offer.your_time') })}
            </List.Item>
          )}
        </List>
      </Stack>
      <ClaimButton campaignId={campaignId} storeId={storeId} />
      {store && (
        <Stack gap={4} component="section">
          <Title order={2} size="h4">
            {store.name}
          </Title>
          <Group gap="xs">
            <OpenState storeId={store.store_id} timezone={store.timezone} />
            {here && <Text size="sm">{t('nearby.away', { how: format.distance(metres(here, store)) })}</Text>}
          </Group>
          {store.address && <Text size="sm">{store.address}</Text>}
          {store.opening_hours && (
            <Text size="sm" c="dimmed">
              {t('offer.hours', { hours: store.opening_hours, zone: store.timezone })}
            </Text>
          )}
          {store.phone && (
            <Anchor size="sm" href={`tel:${store.phone.replaceAll(' ', '')}`}>
              {store.phone}
            </Anchor>
          )}
        </Stack>
      )}
    </Page>
  )
}

const money = (format: ReturnType<typeof useFormat>, amount: number, currency: string | null | undefined) =>
  currency ? format.money(amount, currency) : format.number(amount)

function ClaimButton({ campaignId, storeId }: { campaignId: string; storeId: string | null }) {
  const { t, i18n } = useTranslation('app')
  const api = useApi()
  const { id } = useDevice()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const claim = useMutation({
    mutationFn: () =>
      body(api.POST('/v1/claims', { body: { campaign_id: campaignId, device_id: id, store_id: storeId } })),
    onSuccess: (made) => {
      queries.setQueryData([...CLAIMS, made.claim_id], made)
      void queries.invalidateQueries({ queryKey: CLAIMS, exact: true })
      void navigate(`/claims/${made.claim_id}`)
    },
  })
  const { error } = claim
  const reason = error instanceof Problem ? `refused.${error.reason}` : ''
  return (
    <Stack gap="xs">
      <Button size="lg" loading={claim.isPending} onClick={() => claim.mutate()}>
        {t('offer.claim')}
      </Button>
      {error &&
        (i18n.exists(reason, { ns: 'app' }) ? (
          <Alert role="alert" color="yellow">
            {t(reason as never)}
          </Alert>
        ) : (
          <ProblemNote error={error} />
        ))}
    </Stack>
  )
}

// Trying it out: a message to one phone, and the rules asked about the visits of the last days.
import { Alert, Button, Group, List, NumberInput, SimpleGrid, Stack, Text, TextInput, Title } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body, type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Figure } from '@/shared/ui/Figure'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useMay } from '../../../session'
import { useStores } from '../data'
import { StoreSelect } from '../edit/WindowsPreview'
import { type CampaignView } from '../model'
import { TEXTS } from '../texts'
import { useSpeech } from '../words'
import { gateWhy } from './gates'
import { Section } from './Overview'

export function Trial({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const may = useMay()
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} style={{ alignItems: 'start' }}>
      {may('test_send_campaign') && (
        <Section title={t('try.send_title')}>
          <TestSend id={campaign.campaign_id} />
        </Section>
      )}
      {may('dry_run_campaign') && (
        <Section title={t('try.dry_title')}>
          {campaign.trigger.type === 'scheduled' ? (
            <Text size="sm" c="dimmed">
              {t('try.dry_scheduled')}
            </Text>
          ) : (
            <DryRun id={campaign.campaign_id} />
          )}
        </Section>
      )}
    </SimpleGrid>
  )
}

function TestSend({ id }: { id: string }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const stores = useStores()
  const [device, setDevice] = useState('')
  const [store, setStore] = useState<string | null>(null)
  const send = useMutation({
    mutationFn: () =>
      body(
        api.POST('/v1/campaigns/{campaign_id}/test-send', {
          params: { path: { campaign_id: id } },
          body: { device_id: device.trim(), store_id: store },
        }),
      ),
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        send.mutate()
      }}
    >
      <Stack gap="sm">
        <Text size="sm" c="dimmed">
          {t('try.send_hint')}
        </Text>
        <TextInput
          label={t('explain.device')}
          required
          value={device}
          onChange={(event) => setDevice(event.currentTarget.value)}
        />
        <StoreSelect
          label={t('try.store')}
          placeholder={t('try.store_first')}
          stores={stores.data ?? []}
          value={store}
          onChange={setStore}
          clearable
        />
        <Group>
          <Button type="submit" variant="light" loading={send.isPending} disabled={device.trim() === ''}>
            {t('try.send')}
          </Button>
        </Group>
        {send.error && <ProblemNote error={send.error} />}
        {send.data && (
          <Alert color="green" role="status">
            {t('try.sent', {
              channels: send.data.messages.map((one) => t(`channel.${one.channel}`)).join(t('words.comma')),
              until: f.time(send.data.expires_at),
            })}
          </Alert>
        )}
      </Stack>
    </form>
  )
}

function DryRun({ id }: { id: string }) {
  const { t } = useTranslation(TEXTS)
  const [days, setDays] = useState<number | string>(7)
  const run = useMutation({
    mutationFn: () =>
      body(
        api.POST('/v1/campaigns/{campaign_id}/dry-run', {
          params: { path: { campaign_id: id } },
          body: { days: Number(days) },
        }),
      ),
  })
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        {t('try.dry_hint')}
      </Text>
      <Group align="flex-end">
        <NumberInput label={t('try.days')} w={140} min={1} max={31} value={days} onChange={setDays} />
        <Button variant="light" loading={run.isPending} disabled={!days} onClick={() => run.mutate()}>
          {t('try.run')}
        </Button>
      </Group>
      {run.error && <ProblemNote error={run.error} />}
      <div aria-live="polite">{run.data && <Ran run={run.data} />}</div>
    </Stack>
  )
}

const MOST_STORES = 10

function Ran({ run }: { run: Schemas['DryRunView'] }) {
  const { t } = useTranslation(TEXTS)
  const speech = useSpeech()
  const { f } = speech
  const stores = useStores()
  const names = new Map((stores.data ?? []).map((one) => [one.store_id, one.name]))
  const by = Object.entries(run.by_store).sort(([, a], [, b]) => b - a)
  const reasons = Object.entries(run.suppressed).sort(([, a], [, b]) => b - a)
  return (
    <Stack gap="sm">
      <Text size="xs" c="dimmed">
        {t('try.period', { from: f.dateTime(run.since), to: f.dateTime(run.before), n: f.number(run.events) })}
        {run.complete ? '' : ` ${t('try.incomplete')}`}
      </Text>
      <SimpleGrid cols={2}>
        <Figure label={t('try.offers')} value={f.number(run.decisions.offered ?? 0)} />
        <Figure label={t('try.people')} value={f.number(run.devices)} />
        <Figure label={t('funnel.held_out')} value={f.number(run.decisions.held_out ?? 0)} />
        <Figure label={t('funnel.suppressed')} value={f.number(run.decisions.suppressed ?? 0)} />
      </SimpleGrid>
      {reasons.length > 0 && (
        <div>
          <Title order={3} size="h6">
            {t('results.reasons')}
          </Title>
          <List size="sm" listStyleType="none">
            {reasons.map(([gate, n]) => (
              <List.Item key={gate}>
                {gateWhy(speech, gate)}: {f.number(n)}
              </List.Item>
            ))}
          </List>
        </div>
      )}
      {by.length > 0 && (
        <div>
          <Title order={3} size="h6">
            {t('try.by_store')}
          </Title>
          <List size="sm" listStyleType="none">
            {by.slice(0, MOST_STORES).map(([id, n]) => (
              <List.Item key={id}>
                {names.get(id) ?? id}: {f.number(n)}
              </List.Item>
            ))}
          </List>
        </div>
      )}
    </Stack>
  )
}

// One webhook: where it leads and to what it listens, its secret, tests, replays, and how its deliveries went.
import {
  Alert,
  Anchor,
  Button,
  Group,
  MultiSelect,
  Paper,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core'
import { useForm } from '@mantine/form'
import { notifications } from '@mantine/notifications'
import { IconAlertTriangle } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { lazy, type ReactNode, Suspense, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useParams } from 'react-router'
import { api, body, type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote, useWords } from '@/shared/ui/ProblemNote'
import { Confirm } from './Confirm'
import { faultsOf } from './faults'
import { Secret } from './Once'
import './texts'
import { Attempts, attemptsKey } from './webhooks/Attempts'
import { PATTERNS, useWebhook, WEBHOOKS } from './webhooks/questions'

const Replay = lazy(() => import('./webhooks/Replay').then((found) => ({ default: found.Replay })))

type Hook = Schemas['WebhookWithSecret']

export default function Webhook() {
  const { webhookId = '' } = useParams()
  const query = useWebhook(webhookId)
  return <Asked query={query}>{(webhook) => <One key={webhook.webhook_id} webhook={webhook} />}</Asked>
}

function One({ webhook }: { webhook: Hook }) {
  const { t } = useTranslation(['operator', 'shared'])
  const client = useQueryClient()
  const navigate = useNavigate()
  const words = useWords()
  const path = { webhook_id: webhook.webhook_id }
  const [deleting, setDeleting] = useState<Hook | null>(null)
  const [replaying, setReplaying] = useState(false)
  const test = useMutation({
    mutationFn: () => body(api.POST('/v1/webhooks/{webhook_id}/test', { params: { path } })),
    onSuccess: () => {
      notifications.show({ message: t('webhook.tested') })
      void client.invalidateQueries({ queryKey: attemptsKey(webhook.webhook_id) })
    },
    onError: (error) => notifications.show({ color: 'red', message: words(error) }),
  })
  const remove = useMutation({
    mutationFn: (_: Hook) => api.DELETE('/v1/webhooks/{webhook_id}', { params: { path } }),
    onSuccess: () => {
      void navigate('/webhooks', { replace: true })
      void client.invalidateQueries({ queryKey: WEBHOOKS, exact: true })
    },
  })
  return (
    <Page
      title={new URL(webhook.url).host}
      lead={
        <Anchor component={Link} to="/webhooks" size="sm">
          ← {t('webhooks.title')}
        </Anchor>
      }
      actions={
        <>
          <Button variant="default" loading={test.isPending} onClick={() => test.mutate()}>
            {t('webhook.test')}
          </Button>
          <Button variant="default" onClick={() => setReplaying(true)}>
            {t('webhook.replay')}
          </Button>
          <Button variant="subtle" color="red" onClick={() => setDeleting(webhook)}>
            {t('shared:delete')}
          </Button>
        </>
      }
    >
      {webhook.paused_reason && (
        <Alert color="red" icon={<IconAlertTriangle aria-hidden />} title={t('webhooks.paused')}>
          {t('webhook.paused_is', { reason: webhook.paused_reason })}
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Part title={t('webhook.where')}>
          <Where webhook={webhook} />
        </Part>
        <Part title={t('webhooks.secret')}>
          <Rotation webhook={webhook} />
        </Part>
      </SimpleGrid>
      <Part title={t('attempts.title')}>
        <Attempts webhookId={webhook.webhook_id} />
      </Part>
      <Suspense>
        {replaying && <Replay webhookId={webhook.webhook_id} opened close={() => setReplaying(false)} />}
      </Suspense>
      <Confirm
        about={deleting}
        title={t('webhook.delete_title')}
        action={t('shared:delete')}
        doing={remove}
        close={() => setDeleting(null)}
      >
        {({ url }) => (
          <Text size="sm" style={{ wordBreak: 'break-all' }}>
            {t('webhook.delete_lead')} {url}
          </Text>
        )}
      </Confirm>
    </Page>
  )
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Paper withBorder p="md" component="section" aria-label={title}>
      <Title order={2} size="h4" mb="sm">
        {title}
      </Title>
      {children}
    </Paper>
  )
}

function Where({ webhook }: { webhook: Hook }) {
  const { t } = useTranslation(['operator', 'shared'])
  const client = useQueryClient()
  const form = useForm({ initialValues: { url: webhook.url, events: webhook.events } })
  const save = useMutation({
    mutationFn: ({ url, events }: typeof form.values) =>
      body(
        api.PUT('/v1/webhooks/{webhook_id}', {
          params: { path: { webhook_id: webhook.webhook_id } },
          body: { url, events: PATTERNS.filter((pattern) => events.includes(pattern)) },
        }),
      ),
    onSuccess: async ({ url, events }) => {
      form.resetDirty({ url, events })
      notifications.show({ message: t('webhook.saved') })
      await client.invalidateQueries({ queryKey: WEBHOOKS })
    },
    onError: (error) => form.setErrors(faultsOf(error)),
  })
  return (
    <form onSubmit={form.onSubmit((values) => save.mutate(values))}>
      <Stack>
        <TextInput label={t('webhooks.url')} type="url" required {...form.getInputProps('url')} />
        <MultiSelect
          label={t('webhooks.events')}
          description={t('webhooks.events_are')}
          data={PATTERNS}
          searchable
          {...form.getInputProps('events')}
        />
        {save.isError && <ProblemNote error={save.error} />}
        <Group justify="flex-end">
          <Button type="submit" loading={save.isPending} disabled={!form.isDirty() && !webhook.paused_reason}>
            {t(webhook.paused_reason ? 'webhook.go_on' : 'shared:save')}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

const DAY_S = 86_400

function Rotation({ webhook }: { webhook: Hook }) {
  const { t } = useTranslation('operator')
  const { dateTime } = useFormat()
  const client = useQueryClient()
  const [shown, setShown] = useState(false)
  const [asking, setAsking] = useState<Hook | null>(null)
  const rotate = useMutation({
    mutationFn: ({ webhook_id: id }: Hook) =>
      body(
        api.POST('/v1/webhooks/{webhook_id}/rotate-secret', {
          params: { path: { webhook_id: id } },
          body: { overlap_s: DAY_S },
        }),
      ),
    onSuccess: async () => {
      setShown(true)
      await client.invalidateQueries({ queryKey: WEBHOOKS })
    },
  })
  return (
    <Stack>
      <Text size="sm">{t('webhook.secret_is')}</Text>
      {shown && <Secret label={t('webhooks.secret')} text={webhook.secret} />}
      {webhook.old_secret_until && (
        <Text size="sm" role="status">
          {t('webhook.old_until', { at: dateTime(webhook.old_secret_until) })}
        </Text>
      )}
      <Group>
        <Button variant="default" aria-expanded={shown} onClick={() => setShown(!shown)}>
          {t(shown ? 'webhook.hide' : 'webhook.show')}
        </Button>
        <Button variant="default" onClick={() => setAsking(webhook)}>
          {t('webhook.rotate')}
        </Button>
      </Group>
      <Confirm
        about={asking}
        title={t('webhook.rotate_title')}
        action={t('webhook.rotate')}
        doing={rotate}
        close={() => setAsking(null)}
      >
        {() => <Text size="sm">{t('webhook.rotate_lead')}</Text>}
      </Confirm>
    </Stack>
  )
}

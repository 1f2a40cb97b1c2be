import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { DateTimePicker } from '@mantine/dates'
import '@mantine/dates/styles.css'
import 'dayjs/locale/zh-cn'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body } from '@/shared/api/client'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { attemptsKey } from './Attempts'

interface Props {
  webhookId: string
  opened: boolean
  close: () => void
}

const HOUR_MS = 3_600_000

/** Local time without a zone, as the picker knows it. */
const local = (at: Date) =>
  new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ')
const instant = (text: string) => new Date(text.replace(' ', 'T')).toISOString()

/** Sends again what became known in a time, with the same ids. */
export function Replay({ webhookId, opened, close }: Props) {
  const { t, i18n } = useTranslation(['operator', 'shared'])
  const client = useQueryClient()
  const [since, setSince] = useState<string | null>(() => local(new Date(Date.now() - HOUR_MS)))
  const [until, setUntil] = useState<string | null>(null)
  const replay = useMutation({
    mutationFn: (from: string) =>
      body(
        api.POST('/v1/webhooks/{webhook_id}/replay', {
          params: { path: { webhook_id: webhookId } },
          body: { since: instant(from), ...(until ? { until: instant(until) } : {}) },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: attemptsKey(webhookId) }),
  })
  const shut = () => {
    replay.reset()
    close()
  }
  const locale = i18n.language === 'zh' ? 'zh-cn' : 'en'
  return (
    <Modal
      opened={opened}
      onClose={shut}
      title={t('webhook.replay')}
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      <Stack>
        <Text size="sm">{t('webhook.replay_is')}</Text>
        <DateTimePicker label={t('webhook.since')} locale={locale} withSeconds value={since} onChange={setSince} />
        <DateTimePicker
          label={t('webhook.until')}
          description={t('webhook.until_is')}
          locale={locale}
          withSeconds
          clearable
          value={until}
          onChange={setUntil}
        />
        {replay.isError && <ProblemNote error={replay.error} />}
        <Text size="sm" role="status">
          {replay.data && t('webhook.queued', { count: replay.data.queued })}
        </Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={shut}>
            {t('shared:close')}
          </Button>
          <Button disabled={since === null} loading={replay.isPending} onClick={() => since && replay.mutate(since)}>
            {t('webhook.replay')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}

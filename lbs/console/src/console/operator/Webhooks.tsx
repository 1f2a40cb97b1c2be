// Where partners listen.
import { Anchor, Badge, Button, Modal, MultiSelect, ScrollArea, Stack, Table, Text, TextInput } from '@mantine/core'
import { useForm } from '@mantine/form'
import { IconPlus } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { api, body } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { faultsOf } from './faults'
import { Once } from './Once'
import './texts'
import { PATTERNS, useWebhooks, WEBHOOKS } from './webhooks/questions'

export default function Webhooks() {
  const { t } = useTranslation('operator')
  const { date } = useFormat()
  const query = useWebhooks()
  const [making, setMaking] = useState(false)
  return (
    <Page
      title={t('webhooks.title')}
      lead={t('webhooks.lead')}
      actions={
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setMaking(true)}>
          {t('webhooks.make')}
        </Button>
      }
    >
      <Asked query={query}>
        {(webhooks) =>
          webhooks.length === 0 ? (
            <Text c="dimmed">{t('webhooks.none')}</Text>
          ) : (
            <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('webhooks.title') }}>
              <Table verticalSpacing="xs" miw={560}>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th scope="col">{t('webhooks.url')}</Table.Th>
                    <Table.Th scope="col">{t('webhooks.events')}</Table.Th>
                    <Table.Th scope="col">{t('webhooks.state')}</Table.Th>
                    <Table.Th scope="col">{t('webhooks.since')}</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {webhooks.map((webhook) => (
                    <Table.Tr key={webhook.webhook_id}>
                      <Table.Th scope="row" fw={500} style={{ wordBreak: 'break-all' }}>
                        <Anchor component={Link} to={`/webhooks/${webhook.webhook_id}`}>
                          {webhook.url}
                        </Anchor>
                      </Table.Th>
                      <Table.Td>{webhook.events.join(', ') || t('webhooks.no_events')}</Table.Td>
                      <Table.Td>
                        <Badge variant="light" color={webhook.paused_reason ? 'red' : 'green'}>
                          {webhook.paused_reason ? t('webhooks.paused') : t('webhooks.works')}
                        </Badge>
                      </Table.Td>
                      <Table.Td>{date(webhook.created_at)}</Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </ScrollArea>
          )
        }
      </Asked>
      <Make opened={making} close={() => setMaking(false)} />
    </Page>
  )
}

function Make({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation(['operator', 'shared'])
  const client = useQueryClient()
  const form = useForm({ initialValues: { url: '', events: [] as (typeof PATTERNS)[number][] } })
  const make = useMutation({
    mutationFn: (values: typeof form.values) => body(api.POST('/v1/webhooks', { body: values })),
    onSuccess: () => client.invalidateQueries({ queryKey: WEBHOOKS }),
    onError: (error) => form.setErrors(faultsOf(error)),
  })
  const shut = () => {
    make.reset()
    form.reset()
    close()
  }
  return (
    <Modal
      opened={opened}
      onClose={shut}
      title={t('webhooks.make')}
      closeOnClickOutside={!make.isSuccess}
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      {make.data ? (
        <Once label={t('webhooks.secret')} text={make.data.secret} note={t('webhooks.once')} close={shut} />
      ) : (
        <form onSubmit={form.onSubmit((values) => make.mutate(values))}>
          <Stack>
            <TextInput
              label={t('webhooks.url')}
              description={t('webhooks.url_is')}
              type="url"
              required
              placeholder="https://"
              {...form.getInputProps('url')}
            />
            <MultiSelect
              label={t('webhooks.events')}
              description={t('webhooks.events_are')}
              data={PATTERNS}
              searchable
              {...form.getInputProps('events')}
            />
            {make.isError && <ProblemNote error={make.error} />}
            <Button type="submit" loading={make.isPending}>
              {t('webhooks.make')}
            </Button>
          </Stack>
        </form>
      )}
    </Modal>
  )
}

import { ActionIcon, Anchor, Badge, Button, Group, Paper, Stack, Text, Tooltip } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconX } from '@tabler/icons-react'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { useConsents } from './consents'
import { useDevice } from './device'
import { type Message, tell, useDismissed, useInbox, useMessages, useOpened } from './inbox'
import { offerPath } from './offers'

export default function Inbox() {
  const { t } = useTranslation('app')
  const inbox = useInbox()
  const messages = useMessages()
  const consents = useConsents()
  return (
    <Page title={t('inbox.title')}>
      {consents.data?.push === false && (
        <Text size="sm">
          {t('inbox.no_consent')}{' '}
          <Anchor component={Link} to="/me">
            {t('inbox.change')}
          </Anchor>
        </Text>
      )}
      <Asked query={inbox}>
        {() =>
          messages.length === 0 ? (
            <Text c="dimmed">{t('inbox.none')}</Text>
          ) : (
            <Stack component="ul" gap="sm" p={0} m={0} style={{ listStyle: 'none' }}>
              {messages.map((message) => (
                <One key={message.message_id} message={message} />
              ))}
            </Stack>
          )
        }
      </Asked>
      {inbox.hasNextPage && (
        <Button variant="default" loading={inbox.isFetchingNextPage} onClick={() => void inbox.fetchNextPage()}>
          {t('shared:more')}
        </Button>
      )}
    </Page>
  )
}

function One({ message }: { message: Message }) {
  const { t } = useTranslation('app')
  const format = useFormat()
  const device = useDevice()
  const opened = useOpened()
  const { dismissed, set } = useDismissed()
  const id = message.message_id
  useEffect(() => {
    void tell(device, id, 'displayed')
  }, [device, id])
  const dismiss = async () => {
    await set([...dismissed, id])
    notifications.show({
      id: `dismissed ${id}`,
      message: (
        <Group justify="space-between">
          <Text size="sm">{t('inbox.dismissed')}</Text>
          <Button
            size="compact-sm"
            variant="subtle"
            onClick={() => {
              notifications.hide(`dismissed ${id}`)
              void set(dismissed.filter((one) => one !== id))
            }}
          >
            {t('shared:undo')}
          </Button>
        </Group>
      ),
    })
    void tell(device, id, 'dismissed')
  }
  return (
    <Paper component="li" withBorder p="md">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Stack gap={2} style={{ minWidth: 0 }}>
          <Group gap="xs">
            <Anchor
              component={Link}
              to={offerPath(message.data)}
              fw={message.opened ? 500 : 700}
              onClick={() => opened(id)}
            >
              {message.title}
            </Anchor>
            {!message.opened && <Badge size="sm">{t('inbox.new')}</Badge>}
            {message.data.test && (
              <Badge size="sm" color="gray" variant="light">
                {t('inbox.test')}
              </Badge>
            )}
          </Group>
          <Text size="sm">{message.body}</Text>
          <Text size="xs" c="dimmed">
            {t('inbox.times', { came: format.dateTime(message.created_at), ends: format.dateTime(message.expires_at) })}
          </Text>
        </Stack>
        <Tooltip label={t('inbox.dismiss')}>
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={t('inbox.dismiss_one', { title: message.title })}
            onClick={() => void dismiss()}
          >
            <IconX size={18} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </Group>
    </Paper>
  )
}

import { Alert, Anchor, Box, Button, Group, Stack, Text, Title } from '@mantine/core'
import { IconArrowLeft } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { body } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { svgUrl } from './code'
import { useConsents } from './consents'
import { useApi, useDevice } from './device'

/** A browser reports only while it is open; these apps go on in the background. */
export default function Pairing() {
  const { t } = useTranslation('app')
  const format = useFormat()
  const api = useApi()
  const { id } = useDevice()
  const consents = useConsents()
  const pair = useMutation({
    mutationFn: () => body(api.POST('/v1/devices/{device_id}/pairing', { params: { path: { device_id: id } } })),
  })
  return (
    <Page title={t('pairing.title')}>
      <Back />
      <Text>{t('pairing.what')}</Text>
      {consents.data?.location === false && <Alert color="yellow">{t('pairing.no_consent')}</Alert>}
      {pair.data ? (
        <Stack>
          <Text size="sm" role="status">
            {t('pairing.until', { when: format.time(pair.data.expires_at) })}
          </Text>
          <Group align="flex-start" gap="xl">
            <App name="OwnTracks" link={pair.data.owntracks} how={t('pairing.owntracks')} open={t('pairing.open')} />
            <App name="Traccar Client" link={pair.data.traccar} how={t('pairing.traccar')} />
          </Group>
        </Stack>
      ) : (
        <Button w="fit-content" loading={pair.isPending} onClick={() => pair.mutate()}>
          {t('pairing.go')}
        </Button>
      )}
      {pair.isError && <ProblemNote error={pair.error} />}
    </Page>
  )
}

interface AppProps {
  name: string
  link: { url: string; qr_svg: string }
  how: string
  /** Words of a link that opens on this phone; none: the code is for scanning only. */
  open?: string
}

function App({ name, link, how, open }: AppProps) {
  const { t } = useTranslation('app')
  return (
    <Stack component="section" gap="xs" maw={280}>
      <Title order={2} size="h4">
        {name}
      </Title>
      <Box bg="white" p="sm" style={{ borderRadius: 'var(--mantine-radius-md)' }}>
        <img src={svgUrl(link.qr_svg)} alt={t('pairing.qr', { name })} style={{ width: '100%', display: 'block' }} />
      </Box>
      <Text size="sm">{how}</Text>
      {open && (
        <Anchor href={link.url} size="sm">
          {open}
        </Anchor>
      )}
    </Stack>
  )
}

export function Back() {
  const { t } = useTranslation('app')
  return (
    <Button
      component={Link}
      to="/me"
      variant="subtle"
      size="compact-sm"
      w="fit-content"
      leftSection={<IconArrowLeft size={16} aria-hidden />}
    >
      {t('shared:back')}
    </Button>
  )
}

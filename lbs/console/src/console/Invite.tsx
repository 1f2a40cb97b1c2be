import { Button, Center, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { useForm } from '@mantine/form'
import { useMutation } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { api, body } from '@/shared/api/client'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { Mark } from './Mark'
import { useArrive } from './session'

const LEAST = 12

/** Where the link of an invitation leads: choose a password, and come in. */
export function Invite() {
  const { t } = useTranslation('console')
  const navigate = useNavigate()
  const arrive = useArrive()
  const token = new URLSearchParams(window.location.hash.slice(1)).get('token') ?? ''
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { name: '', password: '' },
    validate: { password: (text) => (text.length < LEAST ? t('invite.short', { least: LEAST }) : null) },
  })
  const accept = useMutation({
    mutationFn: async ({ name, password }: { name: string; password: string }) => {
      const { email } = await body(
        api.POST('/v1/invitations/accept', { body: { token, password, ...(name ? { name } : {}) } }),
      )
      return body(api.POST('/v1/sessions', { body: { email, password } }))
    },
    onSuccess: (session) => {
      arrive(session)
      void navigate('/', { replace: true })
    },
  })
  return (
    <Center mih="100dvh" p="md" component="main">
      <Stack w={420} maw="100%">
        <Mark />
        <Paper withBorder p="xl" radius="lg" shadow="sm">
          <form onSubmit={form.onSubmit((values) => accept.mutate(values))}>
            <Stack>
              <Title order={1} size="h3">
                {t('invite.title')}
              </Title>
              <Text size="sm">{t('invite.lead')}</Text>
              <TextInput
                label={t('invite.name')}
                autoComplete="name"
                key={form.key('name')}
                {...form.getInputProps('name')}
              />
              <PasswordInput
                label={t('invite.password')}
                description={t('invite.hint', { least: LEAST })}
                autoComplete="new-password"
                required
                key={form.key('password')}
                {...form.getInputProps('password')}
              />
              {accept.isError && <ProblemNote error={accept.error} />}
              <Button type="submit" loading={accept.isPending}>
                {t('invite.go')}
              </Button>
            </Stack>
          </form>
        </Paper>
      </Stack>
    </Center>
  )
}

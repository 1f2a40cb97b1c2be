import {
  Anchor,
  Button,
  Center,
  Divider,
  Group,
  Paper,
  PasswordInput,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core'
import { useForm } from '@mantine/form'
import { useMutation } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body } from '@/shared/api/client'
import { LanguageMenu, SchemeToggle } from '@/shared/ui/Preferences'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { Mark } from './Mark'
import { useArrive } from './session'

export function SignIn() {
  const { t } = useTranslation('console')
  const arrive = useArrive()
  const form = useForm({ mode: 'uncontrolled', initialValues: { email: '', password: '' } })
  const signIn = useMutation({
    mutationFn: (values: { email: string; password: string }) => body(api.POST('/v1/sessions', { body: values })),
    onSuccess: arrive,
  })
  useEffect(() => {
    document.title = `${t('sign_in.title')} · LBS`
  }, [t])
  return (
    <Center mih="100dvh" p="md" component="main">
      <Stack w={380} maw="100%">
        <Group justify="space-between">
          <Mark />
          <Group gap={0}>
            <LanguageMenu />
            <SchemeToggle />
          </Group>
        </Group>
        <Paper withBorder p="xl" radius="lg" shadow="sm">
          <form onSubmit={form.onSubmit((values) => signIn.mutate(values))}>
            <Stack>
              <Title order={1} size="h3">
                {t('sign_in.title')}
              </Title>
              <TextInput
                label={t('sign_in.email')}
                type="email"
                autoComplete="username"
                required
                key={form.key('email')}
                {...form.getInputProps('email')}
              />
              <PasswordInput
                label={t('sign_in.password')}
                autoComplete="current-password"
                required
                key={form.key('password')}
                {...form.getInputProps('password')}
              />
              {signIn.isError && <ProblemNote error={signIn.error} />}
              <Button type="submit" loading={signIn.isPending} fullWidth>
                {t('sign_in.go')}
              </Button>
              <Divider label={t('sign_in.or')} />
              <Text size="sm" ta="center">
                <Anchor href="/v1/sessions/provider">{t('sign_in.provider')}</Anchor>
              </Text>
            </Stack>
          </form>
        </Paper>
      </Stack>
    </Center>
  )
}

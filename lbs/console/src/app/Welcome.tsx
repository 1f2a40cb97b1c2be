import { Button, Stack, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { ConsentSwitches } from './ConsentSwitches'
import { type Consents, useMine } from './device'
import { Entry } from './Entry'

/** What it is, and what the person agrees to: nothing is switched on by us. */
export function Welcome() {
  const { t, i18n } = useTranslation('app')
  const { register } = useMine()
  const [wanted, setWanted] = useState<Consents>({ location: false, push: false, analytics: false })
  const [state, setState] = useState<{ busy: boolean; error: unknown }>({ busy: false, error: null })
  const begin = async () => {
    setState({ busy: true, error: null })
    try {
      await register(wanted, i18n.language)
    } catch (error) {
      setState({ busy: false, error })
    }
  }
  return (
    <Entry>
      <Stack gap="xs">
        <Title order={1} size="h2">
          {t('welcome.title')}
        </Title>
        <Text>{t('welcome.lead')}</Text>
      </Stack>
      <Stack gap="xs">
        <Title order={2} size="h4">
          {t('welcome.choose')}
        </Title>
        <Text size="sm" c="dimmed">
          {t('welcome.later')}
        </Text>
      </Stack>
      <ConsentSwitches value={wanted} onChange={(purpose, granted) => setWanted({ ...wanted, [purpose]: granted })} />
      {state.error !== null && <ProblemNote error={state.error} />}
      <Button size="lg" loading={state.busy} onClick={() => void begin()}>
        {t('welcome.go')}
      </Button>
      <Text size="xs" c="dimmed">
        {t('welcome.registers')}
      </Text>
    </Entry>
  )
}

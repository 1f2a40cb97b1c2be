import { Button, NavLink, SegmentedControl, Stack, Text, Title, useMantineColorScheme } from '@mantine/core'
import { IconChevronRight, IconDatabase, IconDownload, IconRoute } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { localeOf } from '@/shared/format'
import { LANGUAGES, type Language, speak } from '@/shared/i18n'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { ConsentSwitches } from './ConsentSwitches'
import { useChangeDevice, useConsent, useConsents } from './consents'
import { useDevice } from './device'
import { useInstall } from './install'
import { PushSwitch } from './PushSwitch'
import { unsubscribe } from './push'

export default function Me() {
  const { t, i18n } = useTranslation('app')
  const device = useDevice()
  const consents = useConsents()
  const consent = useConsent()
  const change = useChangeDevice()
  const queries = useQueryClient()
  const install = useInstall()
  const { colorScheme, setColorScheme } = useMantineColorScheme()

  const speakIn = (language: Language) => {
    void speak(language)
    change.mutate({ locale: localeOf(language), consents: [] }, { onSettled: () => void queries.invalidateQueries() })
  }
  return (
    <Page title={t('me.title')}>
      <Section title={t('me.consents')} lead={t('me.consents_lead')}>
        <Asked query={consents}>
          {(value) => (
            <ConsentSwitches
              value={value}
              disabled={consent.isPending}
              onChange={(purpose, granted) => {
                if (purpose === 'push' && !granted) void unsubscribe(device).catch(() => undefined)
                void consent.give({ [purpose]: granted }).catch(() => undefined)
              }}
            />
          )}
        </Asked>
        {consent.isError && <ProblemNote error={consent.error} />}
      </Section>
      {consents.data?.push && (
        <Section title={t('push.title')} lead={t('push.lead')}>
          <PushSwitch />
        </Section>
      )}
      {install && (
        <Button variant="light" leftSection={<IconDownload size={18} aria-hidden />} onClick={() => void install()}>
          {t('me.install')}
        </Button>
      )}
      <Section title={t('me.more')}>
        <Row
          to="/me/background"
          icon={<IconRoute size={20} aria-hidden />}
          label={t('pairing.title')}
          lead={t('pairing.row')}
        />
        <Row to="/me/data" icon={<IconDatabase size={20} aria-hidden />} label={t('data.title')} lead={t('data.row')} />
      </Section>
      <Section title={t('me.looks')}>
        <SegmentedControl
          aria-label={t('shared:language')}
          value={i18n.language}
          onChange={(language) => speakIn(language as Language)}
          data={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
        />
        <SegmentedControl
          aria-label={t('me.colours')}
          value={colorScheme}
          onChange={(value) => setColorScheme(value as 'auto' | 'light' | 'dark')}
          data={(['auto', 'light', 'dark'] as const).map((value) => ({ value, label: t(`me.scheme.${value}`) }))}
        />
      </Section>
    </Page>
  )
}

function Section({ title, lead, children }: { title: string; lead?: string; children: ReactNode }) {
  return (
    <Stack component="section" gap="sm">
      <div>
        <Title order={2} size="h4">
          {title}
        </Title>
        {lead && (
          <Text size="sm" c="dimmed">
            {lead}
          </Text>
        )}
      </div>
      {children}
    </Stack>
  )
}

function Row({ to, icon, label, lead }: { to: string; icon: ReactNode; label: string; lead: string }) {
  return (
    <NavLink
      component={Link}
      to={to}
      label={label}
      description={lead}
      leftSection={icon}
      rightSection={<IconChevronRight size={16} aria-hidden />}
      style={{ borderRadius: 'var(--mantine-radius-md)' }}
    />
  )
}

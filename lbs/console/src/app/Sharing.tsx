// That the position is told, always in sight, with the switch that stops it.
import { ActionIcon, Button, Group, Paper, Text, Tooltip } from '@mantine/core'
import { IconLocation, IconLocationOff, IconLocationPause, IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useConsent } from './consents'
import { usePlace } from './Place'

/** In the head of every page, while positions are told or could be. */
export function SharingButton() {
  const { t } = useTranslation('app')
  const { state, pause } = usePlace()
  if (state === 'off' || state === 'denied') return null
  const paused = state === 'paused'
  const label = t(paused ? 'sharing.resume_long' : 'sharing.pause_long')
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant={paused ? 'subtle' : 'light'}
        color={paused ? 'gray' : 'brand'}
        size="lg"
        aria-label={label}
        aria-pressed={!paused}
        onClick={() => pause(!paused)}
      >
        {paused ? <IconLocationPause aria-hidden /> : <IconLocation aria-hidden />}
      </ActionIcon>
    </Tooltip>
  )
}

/** The same with words, where the offers near here are. */
export function SharingNote() {
  const { t } = useTranslation('app')
  const { distance, number } = useFormat()
  const { state, here, waiting, pause } = usePlace()
  const consent = useConsent()
  const words = {
    off: t('sharing.off'),
    paused: t('sharing.paused'),
    asking: t('sharing.asking'),
    on: t('sharing.on', { accuracy: here ? distance(Math.max(1, here.accuracyM)) : '' }),
    denied: t('sharing.denied'),
    unavailable: t('sharing.unavailable'),
  }[state]
  const Icon =
    state === 'on' || state === 'asking' ? IconLocation : state === 'paused' ? IconLocationPause : IconLocationOff
  return (
    <Paper bg="var(--mantine-color-default-hover)" px="sm" py={6} radius="md">
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Group gap="xs" wrap="nowrap" role="status">
          <Icon size={18} aria-hidden style={{ flexShrink: 0 }} />
          <Text size="sm">
            {words}
            {waiting > 1 && ` ${t('sharing.waiting', { number: number(waiting) })}`}
          </Text>
        </Group>
        {state === 'off' ? (
          <Button
            size="compact-sm"
            variant="light"
            style={{ flexShrink: 0 }}
            loading={consent.isPending}
            onClick={() => void consent.give({ location: true }).catch(() => undefined)}
          >
            {t('sharing.turn_on')}
          </Button>
        ) : state === 'denied' ? null : (
          <Button
            size="compact-sm"
            variant="subtle"
            style={{ flexShrink: 0 }}
            leftSection={
              state === 'paused' ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />
            }
            onClick={() => pause(state !== 'paused')}
          >
            {t(state === 'paused' ? 'sharing.resume' : 'sharing.pause')}
          </Button>
        )}
      </Group>
      {consent.isError && <ProblemNote error={consent.error} />}
    </Paper>
  )
}

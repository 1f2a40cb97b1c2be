// One decision with its gates.
import { Badge, Group, List, Paper, Text, ThemeIcon, Title } from '@mantine/core'
import { IconCheck, IconMinus, IconX } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { type Schemas } from '@/shared/api/client'
import { type CampaignView, type StoreView } from '../model'
import { GATES, gateInWords, gateTitle, gateWhy } from '../one/gates'
import { TEXTS } from '../texts'
import { useSpeech } from '../words'

interface Props {
  decision: Schemas['DecisionView']
  store: StoreView | undefined
  campaign: CampaignView
}

const COLOURS = { offered: 'green', held_out: 'blue', suppressed: 'red' } as const

export function Decision({ decision, store, campaign }: Props) {
  const { t } = useTranslation(TEXTS)
  const speech = useSpeech()
  const { f } = speech
  const zone = store?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone
  const { outcome, reason, gates, event_at: at } = decision
  const asked = new Map(gates.map((one) => [one.gate, one]))
  const last = gates.at(-1)?.gate
  const ended = reason === null || last === undefined ? GATES.length : GATES.indexOf(last)
  return (
    <Paper withBorder p="md" component="article">
      <Group justify="space-between" gap="xs" mb="sm">
        <Title order={2} size="h5">
          {t(`explain.${decision.decision_id === null ? 'would' : 'outcome'}.${outcome}`, {
            gate: reason ? gateWhy(speech, reason) : '',
          })}
        </Title>
        <Badge color={COLOURS[outcome]} variant="light" tt="none">
          {t(`outcome.${outcome}`)}
        </Badge>
      </Group>
      <Text size="sm" c="dimmed" mb="sm">
        {[
          store?.name,
          t('explain.happened_at', { at: f.dateTime(at, zone), zone }),
          t(`edit.trigger.${decision.trigger}`),
          t('history.version', { version: decision.campaign_version }),
          decision.campaign_version === campaign.version ? null : t('explain.older'),
        ]
          .filter(Boolean)
          .join(' · ')}
      </Text>
      <List listStyleType="none" spacing={6} size="sm">
        {GATES.map((gate, index) => {
          const found = asked.get(gate)
          const failed = found !== undefined && !found.passed
          const colour = found === undefined ? 'gray' : failed ? COLOURS[outcome] : 'green'
          const said = found
            ? gateInWords(speech, found, zone)
            : t(index > ended ? 'explain.after' : 'explain.not_asked')
          return (
            <List.Item
              key={gate}
              {...(failed ? { 'aria-current': 'step' as const } : {})}
              icon={
                <ThemeIcon size={20} radius="xl" variant={failed ? 'filled' : 'light'} color={colour}>
                  {found === undefined ? (
                    <IconMinus size={13} aria-label={t('explain.mark.none')} />
                  ) : failed ? (
                    <IconX size={13} aria-label={t('explain.mark.failed')} />
                  ) : (
                    <IconCheck size={13} aria-label={t('explain.mark.passed')} />
                  )}
                </ThemeIcon>
              }
              styles={{
                item: failed ? { background: 'var(--mantine-color-default-hover)', borderRadius: 8, padding: 8 } : {},
              }}
            >
              <Text component="span" size="sm" fw={failed ? 700 : 500} {...(found ? {} : { c: 'dimmed' })}>
                {gateTitle(speech, gate)}
              </Text>
              <Text component="span" size="sm" c="dimmed">
                {' · '}
                {said}
              </Text>
            </List.Item>
          )
        })}
      </List>
      {decision.outcome === 'offered' && decision.expires_at && (
        <Text size="sm" mt="sm">
          {t(decision.delivery === 'inbox' ? 'explain.told_inbox' : 'explain.told', {
            at: decision.send_at ? f.dateTime(decision.send_at, zone) : '–',
            until: f.dateTime(decision.expires_at, zone),
          })}
        </Text>
      )}
      {decision.reproduced !== null && (
        <Text size="xs" c="dimmed" mt="sm">
          {t(decision.reproduced ? 'explain.reproduced' : 'explain.not_reproduced')}
        </Text>
      )}
    </Paper>
  )
}

// What the messages changed, in words: no more certain than the interval allows.
import { Alert, Paper, SimpleGrid, Stack, Table, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { api, body, type Schemas } from '@/shared/api/client'
import { Asked } from '@/shared/ui/Asked'
import { campaignKey } from '../data'
import { type CampaignView } from '../model'
import { TEXTS } from '../texts'
import { type Speech, useSpeech } from '../words'
import { Section } from './Overview'
import { verdict } from './verdict'

type Effect = Schemas['EffectView']

export function Lift({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const id = campaign.campaign_id
  const speech = useSpeech()
  const query = useQuery({
    queryKey: [...campaignKey(id), 'lift'],
    queryFn: ({ signal }) =>
      body(api.GET('/v1/campaigns/{campaign_id}/lift', { params: { path: { campaign_id: id } }, signal })),
  })
  if (!campaign.holdout_share) {
    return (
      <Alert color="gray" title={t('lift.none_title')}>
        {t('lift.none')}
      </Alert>
    )
  }
  return (
    <Asked query={query}>
      {(lift) => (
        <Stack gap="md">
          {!lift.sample_ratio_ok && (
            <Alert color="red" title={t('lift.ratio_title')}>
              {t('lift.ratio')}
            </Alert>
          )}
          <Text size="sm">
            {t('lift.people', {
              offered: speech.f.number(lift.offered),
              held: speech.f.number(lift.held_out),
              waiting: speech.f.number(lift.waiting),
              window: speech.f.duration(lift.attribution_s),
            })}
          </Text>
          <SimpleGrid cols={{ base: 1, md: Math.max(1, Math.min(3, lift.effects.length)) }}>
            {lift.effects.map((effect) => (
              <EffectNote key={`${effect.measure} ${effect.currency}`} effect={effect} speech={speech} />
            ))}
          </SimpleGrid>
          <Text size="xs" c="dimmed">
            {t('lift.hint')}
          </Text>
        </Stack>
      )}
    </Asked>
  )
}

function EffectNote({ effect, speech }: { effect: Effect; speech: Speech }) {
  const { t, f } = speech
  const told = (value: number) => (effect.currency ? f.money(value, effect.currency) : f.share(value))
  const points = (value: number) => {
    if (effect.currency) return `${value > 0 ? '+' : ''}${f.money(value, effect.currency)}`
    return t('lift.points', { n: `${value > 0 ? '+' : ''}${f.number(Math.round(value * 1000) / 10)}` })
  }
  const found = verdict(effect)
  return (
    <Section title={t(`lift.measure.${effect.measure}`)}>
      <Text fw={600} {...(found === 'unknown' || found === 'few' ? { c: 'dimmed' } : {})}>
        {t(`lift.verdict.${found}`, { difference: points(effect.difference) })}
      </Text>
      {effect.low !== null && effect.high !== null && (
        <Text size="sm">{t('lift.interval', { low: points(effect.low), high: points(effect.high) })}</Text>
      )}
      <Paper mt="xs">
        <Table verticalSpacing={4}>
          <Table.Tbody>
            {(['offered', 'held_out'] as const).map((side) => (
              <Table.Tr key={side}>
                <Table.Th scope="row" fw={500}>
                  {t(`lift.side.${side}`)}
                </Table.Th>
                <Table.Td ta="end">{told(effect[side])}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Paper>
    </Section>
  )
}

// The steps from an offer to the till, and where moments were lost.
import { List, Progress, Stack, Table, Text, Title } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { TEXTS } from '../texts'
import { gateWhy } from './gates'
import { useSpeech } from '../words'

type Counts = Schemas['FunnelView']
const STEPS = ['offered', 'sent', 'delivered', 'displayed', 'opened', 'visited', 'claimed', 'redeemed'] as const

export function Funnel({ funnel, k }: { funnel: Counts; k: number }) {
  const { t } = useTranslation([TEXTS, 'shared'])
  const f = useFormat()
  const revenue = Object.entries(funnel.revenue)
  return (
    <Stack gap="xs">
      <Text size="sm">{t('funnel.decided_text', { count: funnel.decided, n: f.number(funnel.decided) })}</Text>
      <Table withRowBorders={false} verticalSpacing={4} horizontalSpacing={4}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">{t('funnel.step')}</Table.Th>
            <Table.Th scope="col" w="45%" aria-hidden />
            <Table.Th scope="col" ta="end">
              {t('funnel.count')}
            </Table.Th>
            <Table.Th scope="col" ta="end">
              {t('funnel.of_offered')}
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {STEPS.map((step) => {
            const value = funnel[step] ?? null
            const share = value !== null && funnel.offered > 0 ? value / funnel.offered : null
            return (
              <Table.Tr key={step}>
                <Table.Th scope="row" fw={500} title={t(`funnel.${step}_hint`)}>
                  {t(`funnel.${step}`)}
                </Table.Th>
                <Table.Td aria-hidden>
                  <Progress value={Math.min(100, (share ?? 0) * 100)} size="lg" radius="sm" />
                </Table.Td>
                <Table.Td ta="end">{value === null ? t('shared:withheld', { k }) : f.number(value)}</Table.Td>
                <Table.Td ta="end" c="dimmed">
                  {share === null ? '–' : f.share(share)}
                </Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
      {revenue.length > 0 && (
        <Text size="sm">
          {t('funnel.revenue')}: {revenue.map(([currency, amount]) => f.money(amount, currency)).join(' + ')}
        </Text>
      )}
    </Stack>
  )
}

/** Why moments came to nothing: by gate, and what became of messages. */
export function Reasons({ funnel }: { funnel: Counts }) {
  const { t } = useTranslation(TEXTS)
  const speech = useSpeech()
  const groups = [
    {
      name: 'suppressed',
      total: funnel.suppressed,
      of: funnel.suppressed_by,
      word: (key: string) => gateWhy(speech, key),
    },
    { name: 'held_out', total: funnel.held_out, of: {}, word: String },
    { name: 'failed', total: funnel.failed, of: funnel.failed_by, word: plain },
    { name: 'withheld', total: funnel.withheld, of: funnel.withheld_by, word: plain },
    { name: 'expired', total: funnel.expired, of: {}, word: plain },
    { name: 'queued', total: funnel.queued, of: {}, word: plain },
  ].filter(({ total }) => total > 0)
  if (groups.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t('results.no_reasons')}
      </Text>
    )
  }
  return (
    <Stack gap="sm">
      {groups.map(({ name, total, of, word }) => (
        <div key={name}>
          <Title order={3} size="h6" title={t(`funnel.${name}_hint`)}>
            {t(`funnel.${name}`)}: {speech.f.number(total)}
          </Title>
          <List size="sm" listStyleType="none">
            {Object.entries(of)
              .sort(([, a], [, b]) => b - a)
              .map(([key, n]) => (
                <List.Item key={key}>
                  {word(key)}: {speech.f.number(n)}
                </List.Item>
              ))}
          </List>
        </div>
      ))}
    </Stack>
  )
}

/** A reason that providers and workers give is a word for programs. */
const plain = (key: string) => key.replaceAll('_', ' ')

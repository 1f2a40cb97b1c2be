// What the campaign does in plain words, what is used of it, its next times, and its words on a phone.
import { Grid, Paper, Progress, Stack, Text, Title } from '@mantine/core'
import { type ReactNode, useId, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { byName, nameOfStore, useReport, useStores } from '../data'
import { PhonePreview } from '../edit/PhonePreview'
import { WindowsPreview } from '../edit/WindowsPreview'
import { type CampaignView, draftOf } from '../model'
import { TEXTS } from '../texts'
import { day, isCurrency, summary, useSpeech } from '../words'

export function Overview({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const speech = useSpeech()
  const stores = useStores()
  const draft = useMemo(() => draftOf(campaign), [campaign])
  const found = useMemo(() => byName(stores.data ?? [], (store) => store.store_id), [stores.data])
  const [shown, setShown] = useState(0)
  const named = draft.stores[0]
  const first = named === undefined ? stores.data?.[0] : found.get(named)
  const one = draft.stores.length === 1 && first ? nameOfStore(first) : null
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Stack gap="md">
          <Section title={t('edit.in_words')}>
            <Stack gap={6}>
              {summary(speech, draft, one).map((sentence) => (
                <Text key={sentence} size="sm">
                  {sentence}
                </Text>
              ))}
              {draft.offer.terms && (
                <Text size="sm" c="dimmed">
                  {draft.offer.terms}
                </Text>
              )}
            </Stack>
          </Section>
          <Used campaign={campaign} />
          <WindowsPreview windows={draft.windows} named={draft.stores} />
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <Section title={t('preview.title')}>
          <PhonePreview
            draft={draft}
            index={shown}
            onIndex={setShown}
            store={first ? nameOfStore(first) : t('preview.store')}
          />
        </Section>
      </Grid.Col>
    </Grid>
  )
}

export function Section({ title, children }: { title: string; children: ReactNode }) {
  const id = useId()
  return (
    <Paper withBorder p="md" component="section" aria-labelledby={id}>
      <Title order={2} size="h5" mb="xs" id={id}>
        {title}
      </Title>
      {children}
    </Paper>
  )
}

/** Stock and money: what is held or redeemed of them. */
function Used({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const { campaign_id: id, stock, reserved, budget } = campaign
  const report = useReport(id, {}, { everyMs: 30_000, enabled: budget !== null && budget !== undefined })
  const stores = useStores({ enabled: budget?.per_store != null })
  if (stock == null && !budget) return null
  const money = (amount: number) => (isCurrency(budget?.currency) ? f.money(amount, budget.currency) : f.number(amount))
  const nameOf = ({ scope }: Schemas['BudgetView']) => {
    const [kind = '', which = ''] = scope.split(':')
    if (kind === 'store') return stores.data?.find((one) => one.store_id === which)?.name ?? which
    return kind === 'day' ? day(f, which) : t('used.total')
  }
  return (
    <Section title={t('used.title')}>
      <Stack gap="sm">
        {stock != null && <Bar label={t('used.stock')} used={reserved} most={stock} told={f.number} />}
        {(report.data?.budgets ?? []).map((one) => (
          <Bar key={one.scope} label={nameOf(one)} used={Number(one.reserved)} most={Number(one.most)} told={money} />
        ))}
        {budget && report.data?.budgets.length === 0 && (
          <Text size="sm" c="dimmed">
            {t('used.nothing')}
          </Text>
        )}
        <Text size="xs" c="dimmed">
          {t('used.hint')}
        </Text>
      </Stack>
    </Section>
  )
}

interface BarProps {
  label: string
  used: number
  most: number
  told: (value: number) => string
}

function Bar({ label, used, most, told }: BarProps) {
  const { t } = useTranslation(TEXTS)
  const share = most > 0 ? (100 * used) / most : 100
  return (
    <div>
      <Text size="sm" display="flex" style={{ justifyContent: 'space-between', gap: 8 }}>
        <span>{label}</span>
        <span>{t('used.of', { used: told(used), most: told(most) })}</span>
      </Text>
      <Progress value={share} color={share >= 90 ? 'orange' : 'brand'} aria-label={label} />
    </div>
  )
}

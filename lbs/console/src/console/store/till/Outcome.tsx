// How it ended: redeemed, in large letters; or refused, with the reason.
import { Alert, Button, Group, Paper, Text, ThemeIcon, Title } from '@mantine/core'
import { IconArrowBackUp, IconCheck, IconX } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Problem } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { useOfferValue } from '../offers'
import type { Store } from '../stores'
import { CancelDialog } from './CancelDialog'
import { shown } from './codes'
import { useReason } from './reasons'
import { useStatement } from './Statement'
import type { Step } from './steps'

interface DoneProps {
  store: Store
  step: Step & { at: 'done' }
  go: (step: Step) => void
}

export function Done({ store, step, go }: DoneProps) {
  const { t } = useTranslation('store')
  const { money, time } = useFormat()
  const value = useOfferValue()
  const [asking, setAsking] = useState(false)
  const { made, preparation, code } = step
  const cancelled = made.state === 'cancelled'
  const currency = made.currency ?? preparation.offer.currency
  const off = made.discount !== null && currency ? money(made.discount, currency) : null
  const left = made.amount !== null && off !== null && currency ? Number(made.amount) - Number(made.discount) : null
  return (
    <Paper
      withBorder
      p="lg"
      role="status"
      style={{ borderColor: `var(--mantine-color-${cancelled ? 'gray' : 'green'}-6)`, borderWidth: 2 }}
      data-outcome={cancelled ? 'cancelled' : 'redeemed'}
    >
      <Group wrap="nowrap" align="flex-start">
        <ThemeIcon size={56} radius="xl" color={cancelled ? 'gray' : 'green'} aria-hidden>
          {cancelled ? <IconArrowBackUp size={34} /> : <IconCheck size={38} />}
        </ThemeIcon>
        <div>
          <Text fw={600}>{t(cancelled ? 'done.cancelled' : 'done.redeemed')}</Text>
          <Title order={2} size={40} lh={1.15} td={cancelled ? 'line-through' : 'none'}>
            {off ? `−${off}` : value(preparation.offer)}
          </Title>
          <Text>
            {preparation.campaign}
            {left !== null && !cancelled && currency && ` · ${t('done.to_pay', { sum: money(left, currency) })}`}
          </Text>
          <Text size="sm" c="dimmed">
            {shown(code)}
            {made.order_id && ` · ${t('done.order', { id: made.order_id })}`}
          </Text>
        </div>
      </Group>
      {!cancelled && (
        <Group mt="md" gap="sm">
          <Button
            size="md"
            variant="default"
            leftSection={<IconArrowBackUp aria-hidden />}
            onClick={() => setAsking(true)}
          >
            {t('cancel.open')}
          </Button>
          <Text size="sm" c="dimmed">
            {t('cancel.until', { at: time(made.cancel_until, store.timezone) })}
          </Text>
        </Group>
      )}
      <CancelDialog
        store={store}
        redemptionId={asking ? made.redemption_id : null}
        close={() => setAsking(false)}
        done={(now) => go({ ...step, made: now })}
      />
    </Paper>
  )
}

interface RefusedProps {
  store: Store
  step: Step & { at: 'refused' }
  again: () => void
}

/** Trying again may help for these. */
const AGAIN = new Set(['token_expired', 'presence_unknown', 'too_far', 'not_now'])

export function Refused({ store, step, again }: RefusedProps) {
  const { t } = useTranslation(['store', 'shared'])
  const { time } = useFormat()
  const reason = useReason()
  const today = useStatement(store).data
  const { error, code } = step
  const word = error instanceof Problem ? error.reason : null
  // when it was used is known if it was here, today
  const used =
    word === 'already_redeemed' || word === 'cancelled'
      ? today?.items.find((line) => code.endsWith(line.code_tail))
      : undefined
  const helps =
    word === null ? error instanceof Problem && (error.status === 0 || error.status >= 500) : AGAIN.has(word)
  return (
    <Alert
      color="red"
      role="alert"
      variant="outline"
      icon={<IconX aria-hidden />}
      title={`${t('refused.title')} · ${shown(code)}`}
      styles={{ title: { fontSize: 'var(--mantine-font-size-md)' } }}
    >
      <Text size="xl" fw={650}>
        {reason(error)}
      </Text>
      {used && (
        <Text>
          {t(used.order_id ? 'refused.used_with_order' : 'refused.used', {
            at: time(used.redeemed_at, store.timezone),
            id: used.order_id,
          })}
        </Text>
      )}
      {helps && (
        <Button mt="sm" size="md" variant="light" color="red" onClick={again}>
          {t('shared:retry')}
        </Button>
      )}
    </Alert>
  )
}

// What a code is worth, and what the till says of the order.
import { Alert, Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core'
import { IconRefresh } from '@tabler/icons-react'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Problem } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { useOfferValue } from '../offers'
import type { Store } from '../stores'
import { readAmount, shown } from './codes'
import { useReason } from './reasons'
import { isAboutOrder, isUnknown, type Order, type Step, useVerify } from './steps'

const CURRENCY = 'lbs.till.currency'

interface Props {
  store: Store
  step: Step & { at: 'prepared' }
  go: (step: Step) => void
}

export function OrderForm({ store, step, go }: Props) {
  const { t } = useTranslation(['store', 'shared'])
  const { time } = useFormat()
  const value = useOfferValue()
  const { preparation, code } = step
  const { offer, needs_amount: needsAmount } = preparation
  const [amount, setAmount] = useState('')
  const [orderId, setOrderId] = useState('')
  const [currency, setCurrency] = useState(offer.currency ?? localStorage.getItem(CURRENCY) ?? '')
  const [tried, setTried] = useState(false)
  const verify = useVerify(store, step, go)
  const reason = useReason()
  const first = useRef<HTMLInputElement>(null)
  // the hands stay on the keys: what is asked for is typed at once
  useEffect(() => first.current?.focus(), [])

  const sum = readAmount(amount)
  const faults = {
    amount:
      amount === '' ? (needsAmount ? t('order.amount_missing') : null) : sum === null ? t('order.amount_wrong') : null,
    currency: (sum !== null || needsAmount) && !/^[A-Z]{3}$/.test(currency) ? t('order.currency_wrong') : null,
  }
  const refused: Error | null = isAboutOrder(verify.error) ? verify.error : null
  const about = refused instanceof Problem ? fieldOf(refused) : null
  const waiting = verify.isPending && verify.failureCount > 0

  const submit = () => {
    setTried(true)
    if (faults.amount || faults.currency) return
    if (sum !== null && !offer.currency) localStorage.setItem(CURRENCY, currency)
    const order: Order = {}
    if (orderId.trim()) order.order_id = orderId.trim()
    if (sum !== null) Object.assign(order, { amount: sum, currency })
    verify.mutate(order)
  }
  return (
    <Paper withBorder p="md" component="section" aria-labelledby="prepared">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!verify.isPending) submit()
        }}
      >
        <Stack>
          <div role="status">
            <Text size="sm" c="dimmed" ff="monospace">
              {shown(code)}
            </Text>
            <Title order={2} size="h3" id="prepared">
              {preparation.campaign}
            </Title>
            <Text size="xl" fw={650} c="brand">
              {value(offer)}
            </Text>
            {offer.terms && <Text size="sm">{offer.terms}</Text>}
            <Text size="xs" c="dimmed">
              {t('order.holds_until', { at: time(preparation.expires_at, store.timezone) })}
            </Text>
          </div>
          <Group align="flex-start" gap="sm">
            <TextInput
              label={needsAmount ? t('order.amount') : t('order.amount_optional')}
              size="lg"
              inputMode="decimal"
              autoComplete="off"
              flex="2 1 140px"
              ref={needsAmount ? first : null}
              required={needsAmount}
              withAsterisk={needsAmount}
              value={amount}
              onChange={(event) => setAmount(event.currentTarget.value)}
              error={(tried && faults.amount) || (about === 'amount' && reason(refused))}
            />
            <TextInput
              label={t('order.currency')}
              size="lg"
              flex="1 1 90px"
              autoComplete="off"
              maxLength={3}
              readOnly={Boolean(offer.currency)}
              {...(offer.currency ? { tabIndex: -1 } : {})}
              value={currency}
              onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())}
              error={(tried && faults.currency) || (about === 'currency' && reason(refused))}
            />
            <TextInput
              label={t('order.id')}
              size="lg"
              flex="2 1 160px"
              autoComplete="off"
              maxLength={200}
              ref={needsAmount ? null : first}
              value={orderId}
              onChange={(event) => setOrderId(event.currentTarget.value)}
              error={about === 'order_id' && reason(refused)}
            />
          </Group>
          {refused && about === null && (
            <Alert color="red" role="alert">
              {reason(refused)}
            </Alert>
          )}
          {waiting && (
            <Alert color="yellow" role="status" icon={<IconRefresh aria-hidden />}>
              {t('order.waiting')}
            </Alert>
          )}
          {verify.isError && isUnknown(verify.error) && (
            <Alert color="red" role="alert" title={t('order.unknown')}>
              {t('order.unknown_is')}
            </Alert>
          )}
          <Group gap="sm">
            <Button type="submit" size="xl" flex="1 1 200px" loading={verify.isPending}>
              {t(verify.isError && isUnknown(verify.error) ? 'order.repeat' : 'order.redeem')}
            </Button>
            <Button size="xl" variant="default" disabled={verify.isPending} onClick={() => go({ at: 'ask' })}>
              {t('shared:cancel')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Paper>
  )
}

function fieldOf(problem: Problem): 'amount' | 'currency' | 'order_id' | null {
  if (problem.reason === 'currency') return 'currency'
  if (problem.reason === 'min_spend' || problem.reason === 'amount_needed') return 'amount'
  const where = problem.errors[0]?.where ?? ''
  return (['amount', 'currency', 'order_id'] as const).find((name) => where.endsWith(`.${name}`)) ?? null
}

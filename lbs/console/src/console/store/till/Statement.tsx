// What this store redeemed today, with totals.
import { Badge, Button, Group, Paper, Stack, Text, Title, Tooltip } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconArrowBackUp, IconDownload } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body, type Schemas } from '@/shared/api/client'
import { download } from '@/shared/api/download'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { useWords } from '@/shared/ui/ProblemNote'
import type { Store } from '../stores'
import { dayIn } from '../traffic/period'
import { CancelDialog } from './CancelDialog'
import { statementKey } from './steps'

/** Other tills of the store redeem too. */
const EVERY_MS = 20_000

export function useStatement(store: Store) {
  const day = dayIn(store.timezone, new Date())
  return useQuery({
    queryKey: [...statementKey(store), day],
    queryFn: () =>
      body(
        api.GET('/v1/redemptions/statement', {
          params: { query: { day, store_id: store.store_id, format: 'json' } },
        }),
      ),
    refetchInterval: EVERY_MS,
  })
}

export function Statement({ store }: { store: Store }) {
  const { t } = useTranslation('store')
  const { money, number } = useFormat()
  const words = useWords()
  const query = useStatement(store)
  const [cancelling, setCancelling] = useState<string | null>(null)
  return (
    <Paper withBorder p="md" component="section" aria-label={t('statement.title')}>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h4">
          {t('statement.title')}
        </Title>
        {query.data && (
          <Button
            size="compact-sm"
            variant="subtle"
            leftSection={<IconDownload size={16} aria-hidden />}
            onClick={() =>
              void download(
                `/v1/redemptions/statement?day=${query.data.day}&store_id=${store.store_id}`,
                `redemptions-${store.store_id}-${query.data.day}.csv`,
              ).catch((error: unknown) => notifications.show({ color: 'red', message: words(error) }))
            }
          >
            CSV
          </Button>
        )}
      </Group>
      <Asked query={query}>
        {({ items, totals }) =>
          items.length === 0 ? (
            <Text size="sm" c="dimmed">
              {t('statement.none')}
            </Text>
          ) : (
            <Stack gap="xs">
              <Group gap="lg" role="status">
                <Text size="sm">
                  {t('statement.count')}: <b>{number(items.filter((one) => one.state === 'redeemed').length)}</b>
                </Text>
                {totals.map((total) => (
                  <Text key={total.currency} size="sm">
                    {t('statement.total', {
                      sum: money(total.amount, total.currency),
                      off: money(total.discount, total.currency),
                    })}
                  </Text>
                ))}
              </Group>
              <Stack component="ul" gap={0} p={0} m={0} style={{ listStyle: 'none' }}>
                {[...items].reverse().map((line) => (
                  <Line
                    key={line.redemption_id}
                    line={line}
                    store={store}
                    now={query.dataUpdatedAt}
                    cancel={() => setCancelling(line.redemption_id)}
                  />
                ))}
              </Stack>
            </Stack>
          )
        }
      </Asked>
      <CancelDialog store={store} redemptionId={cancelling} close={() => setCancelling(null)} />
    </Paper>
  )
}

interface LineProps {
  line: Schemas['StatementLine']
  store: Store
  /** In milliseconds. */
  now: number
  cancel: () => void
}

function Line({ line, store, now, cancel }: LineProps) {
  const { t } = useTranslation('store')
  const { time, money } = useFormat()
  const open = line.state === 'redeemed' && Date.parse(line.cancel_until) > now
  const at = time(line.redeemed_at, store.timezone)
  return (
    <Group
      component="li"
      justify="space-between"
      wrap="nowrap"
      py={6}
      style={{ borderTop: '1px solid var(--mantine-color-default-border)' }}
    >
      <div style={{ minWidth: 0 }}>
        <Text size="sm" truncate>
          {at} · {line.campaign}
        </Text>
        <Text size="xs" c="dimmed" truncate>
          …{line.code_tail}
          {line.order_id && ` · ${line.order_id}`}
        </Text>
      </div>
      <Group gap="xs" wrap="nowrap">
        {line.state === 'cancelled' ? (
          <Badge color="gray" variant="light">
            {t('done.cancelled')}
          </Badge>
        ) : (
          line.discount !== null &&
          line.currency !== null && (
            <Text size="sm" fw={600}>
              −{money(line.discount, line.currency)}
            </Text>
          )
        )}
        {open && (
          <Tooltip label={t('cancel.open')}>
            <Button
              size="compact-sm"
              variant="subtle"
              color="gray"
              px={6}
              aria-label={`${t('cancel.open')}: ${at}, ${line.campaign}`}
              onClick={cancel}
            >
              <IconArrowBackUp size={18} aria-hidden />
            </Button>
          </Tooltip>
        )}
      </Group>
    </Group>
  )
}

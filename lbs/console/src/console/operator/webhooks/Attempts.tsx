import { Badge, Button, ScrollArea, Stack, Table, Text } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { api, body } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Loading } from '@/shared/ui/Asked'
import { ProblemNote } from '@/shared/ui/ProblemNote'

const PAGE = 20
const EVERY_MS = 5_000

export const attemptsKey = (webhookId: string) => ['attempts', webhookId]

/** How deliveries went, newest first. */
export function Attempts({ webhookId }: { webhookId: string }) {
  const { t } = useTranslation(['operator', 'shared'])
  const { date, clock, dateTime, number } = useFormat()
  const query = useInfiniteQuery({
    queryKey: attemptsKey(webhookId),
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/v1/webhooks/{webhook_id}/attempts', {
          params: {
            path: { webhook_id: webhookId },
            query: { limit: PAGE, ...(pageParam ? { cursor: pageParam } : {}) },
          },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
    refetchInterval: EVERY_MS,
  })
  if (query.isPending) return <Loading />
  if (query.isError) return <ProblemNote error={query.error} />
  const attempts = query.data.pages.flatMap((page) => page.items)
  if (attempts.length === 0) return <Text c="dimmed">{t('attempts.none')}</Text>
  return (
    <Stack>
      <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('attempts.title') }}>
        <Table verticalSpacing={6} miw={640}>
          <Table.Thead>
            <Table.Tr>
              {(['at', 'event', 'attempt', 'answer', 'took', 'next'] as const).map((name) => (
                <Table.Th key={name} scope="col">
                  {t(`attempts.${name}`)}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {attempts.map((one) => (
              <Table.Tr key={`${one.event_id} ${one.attempt} ${one.at}`}>
                <Table.Td style={{ whiteSpace: 'nowrap' }}>
                  {date(one.at)} {clock(one.at)}
                </Table.Td>
                <Table.Td>
                  {one.type}
                  <Text size="xs" c="dimmed" ff="monospace">
                    {one.event_id}
                  </Text>
                </Table.Td>
                <Table.Td>{one.attempt}</Table.Td>
                <Table.Td>
                  <Badge variant="light" color={one.delivered ? 'green' : 'red'}>
                    {one.status === null ? one.reason : `${one.status} ${one.reason}`}
                  </Badge>
                </Table.Td>
                <Table.Td>{number(Math.round(one.duration_ms))} ms</Table.Td>
                <Table.Td>{one.next_attempt_at ? dateTime(one.next_attempt_at) : '–'}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
      {query.hasNextPage && (
        <Button variant="light" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t('shared:more')}
        </Button>
      )}
    </Stack>
  )
}

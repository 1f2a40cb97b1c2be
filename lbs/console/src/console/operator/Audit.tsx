// Who wrote what, newest first.
import { Button, ScrollArea, Stack, Table, Text } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { api, body } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import './texts'
import { usePeople } from './people/questions'

const PAGE = 50

export default function Audit() {
  const { t } = useTranslation(['operator', 'shared'])
  const { dateTime } = useFormat()
  const people = usePeople()
  const query = useInfiniteQuery({
    queryKey: ['audit'],
    queryFn: ({ pageParam }) =>
      body(api.GET('/v1/audit', { params: { query: { limit: PAGE, ...(pageParam ? { cursor: pageParam } : {}) } } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor ?? null,
  })
  const names = new Map(people.data?.map((person) => [`user:${person.user_id}`, person.name || person.email]))
  const entries = query.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Page title={t('audit.title')} lead={t('audit.lead')}>
      {query.isPending && <Loading />}
      {query.isError && <ProblemNote error={query.error} retry={() => void query.refetch()} />}
      {query.isSuccess && entries.length === 0 && <Text c="dimmed">{t('audit.none')}</Text>}
      {entries.length > 0 && (
        <Stack>
          <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('audit.title') }}>
            <Table striped verticalSpacing={6} miw={640}>
              <Table.Thead>
                <Table.Tr>
                  {(['at', 'actor', 'operation', 'object', 'request'] as const).map((name) => (
                    <Table.Th key={name} scope="col">
                      {t(`audit.${name}`)}
                    </Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {entries.map((entry) => (
                  <Table.Tr key={entry.audit_id}>
                    <Table.Td style={{ whiteSpace: 'nowrap' }}>{dateTime(entry.at)}</Table.Td>
                    <Table.Td>{names.get(entry.actor) ?? entry.actor}</Table.Td>
                    <Table.Td ff="monospace" fz="xs">
                      {entry.operation}
                    </Table.Td>
                    <Table.Td>{entry.object_id ?? '–'}</Table.Td>
                    <Table.Td ff="monospace" fz="xs" c="dimmed">
                      {entry.request_id.slice(0, 8)}
                    </Table.Td>
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
      )}
    </Page>
  )
}

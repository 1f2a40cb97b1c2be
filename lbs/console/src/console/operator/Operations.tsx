// How the installation does, or the tenant: what waits, what is sent, what fails, and which processes live.
import { Alert, Paper, ScrollArea, SimpleGrid, Stack, Table, Text, Title } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body, type Schemas } from '@/shared/api/client'
import { Bars } from '@/shared/charts'
import { useFormat } from '@/shared/format'
import { INK } from '@/shared/theme'
import { Asked } from '@/shared/ui/Asked'
import { Figure } from '@/shared/ui/Figure'
import { Page } from '@/shared/ui/Page'
import './texts'

type Now = Schemas['OperationsView']
interface Sample {
  at: string
  lagS: number
  rate: number
  waiting: number
}
interface Known {
  now: Now
  /** The last minutes, for as long as the page is open. */
  past: readonly Sample[]
}

const EVERY_MS = 3_000
const KEPT = 100
/** A process says that it lives every two seconds. */
const SILENT_S = 10

const waitingOf = (now: Now) =>
  now.queue.filter((row) => row.state !== 'later').reduce((sum, row) => sum + row.messages, 0)

function useOperations() {
  const client = useQueryClient()
  const queryKey = ['operations']
  return useQuery({
    queryKey,
    queryFn: async (): Promise<Known> => {
      const now = await body(api.GET('/v1/operations'))
      const before = client.getQueryData<Known>(queryKey)?.past ?? []
      const sample = { at: now.at, lagS: now.log.lag_s, rate: now.positions_per_s, waiting: waitingOf(now) }
      return { now, past: [...before, sample].slice(-KEPT) }
    },
    refetchInterval: EVERY_MS,
  })
}

export default function Operations() {
  const { t } = useTranslation('operator')
  const { time } = useFormat()
  const query = useOperations()
  return (
    <Page title={t('operations.title')} lead={query.data && t(`operations.of.${query.data.now.of}`)}>
      {query.isError && query.data && (
        <Alert color="red" role="alert" icon={<IconAlertTriangle aria-hidden />}>
          {t('operations.lost', { at: time(query.data.now.at) })}
        </Alert>
      )}
      <Asked query={query}>
        {({ now, past }) => (
          <Stack gap="lg">
            <Figures now={now} />
            <Charts past={past} />
            <SimpleGrid cols={{ base: 1, lg: 2 }}>
              <Queue now={now} />
              <Processes now={now} />
              <LastHour now={now} />
              <Failed now={now} />
            </SimpleGrid>
            <Text size="xs" c="dimmed">
              {Object.entries(now.versions)
                .map(([name, version]) => `${name} ${version}`)
                .join(' · ')}
            </Text>
          </Stack>
        )}
      </Asked>
    </Page>
  )
}

function Figures({ now }: { now: Now }) {
  const { t } = useTranslation('operator')
  const { number, duration } = useFormat()
  const failed = now.failed.reduce((sum, row) => sum + row.messages, 0)
  const oldest = Math.max(0, ...now.queue.map((row) => row.oldest_s))
  return (
    <Stack gap="sm">
      {now.log.full && (
        <Alert color="red" role="alert" icon={<IconAlertTriangle aria-hidden />}>
          {t('operations.full')}
        </Alert>
      )}
      <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
        <Figure label={t('operations.rate')} value={number(now.positions_per_s)} note={t('operations.rate_is')} />
        <Figure
          label={t('operations.lag')}
          value={duration(now.log.lag_s)}
          note={now.log.entries === null ? undefined : t('operations.entries', { count: now.log.entries })}
        />
        <Figure
          label={t('operations.waiting')}
          value={number(waitingOf(now))}
          note={oldest > 0 ? t('operations.oldest', { time: duration(oldest) }) : undefined}
        />
        {now.dead_entries === null ? (
          <Figure label={t('operations.failed')} value={number(failed)} />
        ) : (
          <Figure label={t('operations.dead')} value={number(now.dead_entries)} note={t('operations.dead_is')} />
        )}
      </SimpleGrid>
    </Stack>
  )
}

const SMALL_PX = 140

function Charts({ past }: { past: readonly Sample[] }) {
  const { t } = useTranslation('operator')
  const { number, duration, clock } = useFormat()
  const labels = past.map((sample) => clock(sample.at))
  const one = (
    name: 'rate' | 'lag' | 'waiting',
    values: number[],
    color: string,
    format: (value: number) => string,
  ) => (
    <Part title={t(`operations.${name}`)}>
      <Bars
        title={t('operations.minutes', { what: t(`operations.${name}`) })}
        height={SMALL_PX}
        labels={labels}
        format={format}
        series={[{ name: t(`operations.${name}`), color, as: 'line', values }]}
      />
    </Part>
  )
  return (
    <SimpleGrid cols={{ base: 1, md: 3 }}>
      {one(
        'rate',
        past.map((sample) => sample.rate),
        INK.place,
        number,
      )}
      {one(
        'lag',
        past.map((sample) => sample.lagS),
        INK.offer,
        duration,
      )}
      {one(
        'waiting',
        past.map((sample) => sample.waiting),
        INK.fence,
        number,
      )}
    </SimpleGrid>
  )
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Paper withBorder p="md" component="section" aria-label={title}>
      <Title order={2} size="h5" mb="xs">
        {title}
      </Title>
      {children}
    </Paper>
  )
}

interface RowsProps {
  title: string
  columns: readonly string[]
  /** The first of each row names it. */
  rows: readonly (readonly ReactNode[])[]
  none: string
}

function Rows({ title, columns, rows, none }: RowsProps) {
  return (
    <Part title={title}>
      {rows.length === 0 ? (
        <Text size="sm" c="dimmed">
          {none}
        </Text>
      ) : (
        <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': title }}>
          <Table verticalSpacing={6}>
            <Table.Thead>
              <Table.Tr>
                {columns.map((column) => (
                  <Table.Th key={column} scope="col">
                    {column}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row, index) => (
                <Table.Tr key={index}>
                  {row.map((cell, at) =>
                    at === 0 ? (
                      <Table.Th key={at} scope="row" fw={400}>
                        {cell}
                      </Table.Th>
                    ) : (
                      <Table.Td key={at}>{cell}</Table.Td>
                    ),
                  )}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </ScrollArea>
      )}
    </Part>
  )
}

function Queue({ now }: { now: Now }) {
  const { t } = useTranslation('operator')
  const { number, duration } = useFormat()
  return (
    <Rows
      title={t('queue.title')}
      none={t('queue.none')}
      columns={[t('channel'), t('queue.state'), t('messages'), t('queue.oldest')]}
      rows={now.queue.map((row) => [
        row.channel,
        t(`queue.is.${row.state}`),
        number(row.messages),
        row.oldest_s > 0 ? duration(row.oldest_s) : '–',
      ])}
    />
  )
}

function LastHour({ now }: { now: Now }) {
  const { t } = useTranslation('operator')
  const { number } = useFormat()
  return (
    <Rows
      title={t('hour.title')}
      none={t('hour.none')}
      columns={[t('channel'), t('hour.state'), t('reason'), t('messages')]}
      rows={now.last_hour.map((row) => [
        row.channel,
        t(`hour.is.${row.state}`),
        row.reason ?? '–',
        number(row.messages),
      ])}
    />
  )
}

function Failed({ now }: { now: Now }) {
  const { t } = useTranslation('operator')
  const { number, dateTime } = useFormat()
  if (now.of === 'installation') return null
  return (
    <Rows
      title={t('failed.title')}
      none={t('failed.none')}
      columns={[
        t('failed.campaign'),
        t('channel'),
        t('reason'),
        t('messages'),
        t('failed.replayable'),
        t('failed.last'),
      ]}
      rows={now.failed.map((row) => [
        row.campaign_id,
        row.channel,
        row.reason,
        number(row.messages),
        number(row.replayable),
        dateTime(row.last_at),
      ])}
    />
  )
}

function Processes({ now }: { now: Now }) {
  const { t } = useTranslation('operator')
  const { duration, dateTime } = useFormat()
  return (
    <Rows
      title={t('processes.title')}
      none={t('processes.none')}
      columns={[
        t('processes.process'),
        t('processes.heard'),
        t('processes.lag'),
        t('processes.since'),
        t('processes.version'),
      ]}
      rows={now.processes.map((row) => [
        row.process,
        row.heard_s > SILENT_S ? (
          <Text key="heard" span size="sm" c="red" fw={600}>
            {t('processes.silent', { time: duration(row.heard_s) })}
          </Text>
        ) : (
          t('processes.alive')
        ),
        duration(row.lag_s),
        dateTime(row.started_at),
        row.version,
      ])}
    />
  )
}

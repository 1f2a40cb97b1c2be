// The demo's simulated people, as the demo tells where they are. Staff never see where a real phone is.
import { Alert, Paper, SimpleGrid, Text } from '@mantine/core'
import { IconRobot } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked, Loading } from '@/shared/ui/Asked'
import { Figure } from '@/shared/ui/Figure'
import { Page } from '@/shared/ui/Page'
import { useMay } from '../session'
import './texts'
import { useWalkers } from './walkers'

const WalkersMap = lazy(() => import('./WalkersMap'))

const EVERY_MS = 3_000

export default function Live() {
  const { t } = useTranslation('operator')
  const query = useWalkers()
  return (
    <Page title={t('live.title')} lead={t('live.lead')}>
      <Asked query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Text c="dimmed">{t('live.none')}</Text>
          ) : (
            <>
              <Alert color="blue" icon={<IconRobot aria-hidden />}>
                {t('live.simulated')}
              </Alert>
              <Counters walkers={items.length} />
              <Paper withBorder>
                <Suspense fallback={<Loading />}>
                  <WalkersMap walkers={items} />
                </Suspense>
              </Paper>
            </>
          )
        }
      </Asked>
    </Page>
  )
}

function Counters({ walkers }: { walkers: number }) {
  const { t } = useTranslation('operator')
  const { number } = useFormat()
  const may = useMay()('operations')
  const { data } = useQuery({
    queryKey: ['operations', 'counters'],
    queryFn: () => body(api.GET('/v1/operations')),
    refetchInterval: EVERY_MS,
    enabled: may,
  })
  const messages = (states: readonly string[]) =>
    data?.last_hour.filter((row) => states.includes(row.state)).reduce((sum, row) => sum + row.messages, 0) ?? 0
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
      <Figure label={t('live.walkers')} value={number(walkers)} />
      {data && (
        <>
          <Figure label={t('operations.rate')} value={number(data.positions_per_s)} />
          <Figure label={t('live.delivered')} value={number(messages(['sent', 'delivered', 'opened']))} />
          <Figure label={t('live.failed')} value={number(messages(['failed', 'expired']))} />
        </>
      )}
    </SimpleGrid>
  )
}

// One campaign: what it does, what may be done with it, and what came of it.
import { Alert, Button, ScrollArea, Tabs, Text } from '@mantine/core'
import { IconHelpCircle } from '@tabler/icons-react'
import { lazy, Suspense } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useParams, useSearchParams } from 'react-router'
import { Asked, Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { useMay, useSession } from '../../session'
import { useCampaign, useHistory } from './data'
import { authors, type CampaignView } from './model'
import { Actions } from './one/Actions'
import { StatusBadge } from './StatusBadge'
import { TEXTS } from './texts'

// each tab is loaded when it is opened
const Overview = lazy(() => import('./one/Overview').then((found) => ({ default: found.Overview })))
const Results = lazy(() => import('./one/Results').then((found) => ({ default: found.Results })))
const Lift = lazy(() => import('./one/Lift').then((found) => ({ default: found.Lift })))
const TriggerMap = lazy(() => import('./one/TriggerMap'))
const Trial = lazy(() => import('./one/Trial').then((found) => ({ default: found.Trial })))
const HistoryTab = lazy(() => import('./one/HistoryTab').then((found) => ({ default: found.HistoryTab })))
const TABS = ['overview', 'results', 'lift', 'map', 'try', 'history'] as const
type Tab = (typeof TABS)[number]

export default function One() {
  const { id = '' } = useParams()
  const query = useCampaign(id)
  return <Asked query={query}>{(campaign) => <Shown campaign={campaign} />}</Asked>
}

function Shown({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const may = useMay()
  const [asked, setAsked] = useSearchParams()
  const tab: Tab = TABS.find((one) => one === asked.get('tab')) ?? 'overview'
  const { campaign_id: id, name, brand } = campaign
  return (
    <Page
      title={name}
      lead={
        <>
          <StatusBadge status={campaign.status} /> {brand}
        </>
      }
      actions={
        <>
          {may('explain_campaign') && (
            <Button
              component={Link}
              to={`/campaigns/${id}/explain`}
              variant="subtle"
              leftSection={<IconHelpCircle size={18} aria-hidden />}
            >
              {t('one.why')}
            </Button>
          )}
          <Actions campaign={campaign} />
        </>
      }
    >
      {campaign.status === 'submitted' && <Submitted campaign={campaign} />}
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(value) => setAsked(value === null || value === 'overview' ? {} : { tab: value }, { replace: true })}
      >
        <ScrollArea type="never">
          <Tabs.List style={{ flexWrap: 'nowrap' }} mb="md">
            {TABS.map((one) => (
              <Tabs.Tab key={one} value={one}>
                {t(`tab.${one}`)}
              </Tabs.Tab>
            ))}
          </Tabs.List>
        </ScrollArea>
        <Suspense fallback={<Loading />}>
          <Tabs.Panel value="overview">
            <Overview campaign={campaign} />
          </Tabs.Panel>
          <Tabs.Panel value="results">
            <Results campaign={campaign} />
          </Tabs.Panel>
          <Tabs.Panel value="lift">
            <Lift campaign={campaign} />
          </Tabs.Panel>
          <Tabs.Panel value="map">
            <TriggerMap id={id} />
          </Tabs.Panel>
          <Tabs.Panel value="try">
            <Trial campaign={campaign} />
          </Tabs.Panel>
          <Tabs.Panel value="history">
            <HistoryTab id={id} />
          </Tabs.Panel>
        </Suspense>
      </Tabs>
    </Page>
  )
}

/** Four eyes: says whom it waits for, and that it cannot be whoever wrote or submitted it. */
function Submitted({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const may = useMay()
  const { user_id } = useSession()
  const history = useHistory(campaign.campaign_id)
  const mine = history.data ? authors(history.data).includes(`user:${user_id}`) : false
  const approver = may('move_campaign:approve')
  return (
    <Alert color="blue" title={t('waiting.submitted')}>
      <Text size="sm">{t(mine ? 'one.four_eyes_own' : approver ? 'one.four_eyes_yours' : 'one.four_eyes_other')}</Text>
    </Alert>
  )
}

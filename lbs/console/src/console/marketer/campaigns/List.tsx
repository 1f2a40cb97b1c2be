// All campaigns: by state, found by their words, with what each is waiting for.
import {
  ActionIcon,
  Anchor,
  Button,
  Group,
  Menu,
  Paper,
  ScrollArea,
  SegmentedControl,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconArchive, IconArchiveOff, IconCopy, IconDots, IconPencil, IconPlus, IconSearch } from '@tabler/icons-react'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { useWords } from '@/shared/ui/ProblemNote'
import { useMay } from '../../session'
import { byName, nameOfStore, useCampaigns, useClone, useMove, useStores } from './data'
import { belongs, GROUPS, STEPS, type StateGroup } from './life'
import { type CampaignView, draftOf } from './model'
import { StatusBadge } from './StatusBadge'
import { TEXTS } from './texts'
import { day, offerInWords, scheduleInWords, triggerInWords, useSpeech, whereInWords } from './words'

const EDITABLE = ['draft', 'submitted', 'approved', 'paused']

export default function List() {
  const { t } = useTranslation(TEXTS)
  const may = useMay()
  const query = useCampaigns()
  return (
    <Page
      title={t('list.title')}
      actions={
        may('create_campaign') && (
          <Button component={Link} to="/campaigns/new" leftSection={<IconPlus size={18} aria-hidden />}>
            {t('list.new')}
          </Button>
        )
      }
    >
      <Asked query={query}>{(campaigns) => <Found campaigns={campaigns} />}</Asked>
    </Page>
  )
}

function Found({ campaigns }: { campaigns: CampaignView[] }) {
  const { t } = useTranslation(TEXTS)
  const [asked, setAsked] = useSearchParams()
  const group = GROUPS.find((one) => one === asked.get('state')) ?? 'current'
  const text = asked.get('q') ?? ''
  const ask = (name: string, value: string) =>
    setAsked(
      (before) => {
        if (value) before.set(name, value)
        else before.delete(name)
        return before
      },
      { replace: true },
    )
  const wanted = text.trim().toLocaleLowerCase()
  const found = useMemo(
    () =>
      campaigns
        .filter(({ status }) => belongs(status, group))
        .filter(({ name, brand }) => `${name} ${brand ?? ''}`.toLocaleLowerCase().includes(wanted))
        .sort((a, b) => b.updated_at.localeCompare(a.updated_at)),
    [campaigns, group, wanted],
  )
  if (campaigns.length === 0) return <Text c="dimmed">{t('list.empty')}</Text>
  const count = (one: StateGroup) => campaigns.filter(({ status }) => belongs(status, one)).length
  return (
    <Stack gap="md">
      <Group gap="sm" justify="space-between">
        <ScrollArea type="never" maw="100%">
          <SegmentedControl
            aria-label={t('list.state')}
            value={group}
            onChange={(value) => ask('state', value === 'current' ? '' : value)}
            data={GROUPS.map((one) => ({ value: one, label: `${t(`group.${one}`)} ${count(one)}` }))}
          />
        </ScrollArea>
        <TextInput
          aria-label={t('list.search')}
          placeholder={t('list.search')}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          onChange={(event) => ask('q', event.currentTarget.value)}
        />
      </Group>
      <Stack component="ul" gap="xs" m={0} p={0} style={{ listStyle: 'none' }}>
        {found.map((campaign) => (
          <Row key={campaign.campaign_id} campaign={campaign} />
        ))}
      </Stack>
      {found.length === 0 && (
        <Text c="dimmed" role="status">
          {t('list.none')}
        </Text>
      )}
    </Stack>
  )
}

function Row({ campaign }: { campaign: CampaignView }) {
  const speech = useSpeech()
  const stores = useStores()
  const found = useMemo(() => byName(stores.data ?? [], (store) => store.store_id), [stores.data])
  const draft = draftOf(campaign)
  const only = draft.stores.length === 1 ? found.get(draft.stores[0] ?? '') : undefined
  const where = whereInWords(speech, draft, only ? nameOfStore(only) : null)
  return (
    <Paper withBorder p="sm" component="li">
      <Group justify="space-between" align="flex-start" wrap="nowrap" gap="xs">
        <Stack gap={2} miw={0} style={{ flex: 1 }}>
          <Group gap="xs">
            <Anchor
              component={Link}
              to={`/campaigns/${campaign.campaign_id}`}
              fw={600}
              style={{ overflowWrap: 'anywhere' }}
            >
              {campaign.name}
            </Anchor>
            <StatusBadge status={campaign.status} />
            <Waiting campaign={campaign} />
          </Group>
          <Text size="sm">
            {offerInWords(speech, draft.offer)} ·{' '}
            {speech.t('words.short', {
              who: speech.t(draft.audience ? 'words.those' : 'words.phones'),
              does: triggerInWords(speech, draft.trigger, where),
            })}
          </Text>
          <Text size="xs" c="dimmed">
            {[campaign.brand, scheduleInWords(speech, draft.windows)].filter(Boolean).join(' · ')}
          </Text>
        </Stack>
        <RowMenu campaign={campaign} />
      </Group>
    </Paper>
  )
}

/** What has to happen before it goes on. */
function Waiting({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const { status, windows } = campaign
  const first = windows.first_day
  const said =
    status === 'approved' && first
      ? t('waiting.begins', { day: day(f, first) })
      : status === 'live' && windows.last_day
        ? t('waiting.until', { day: day(f, windows.last_day) })
        : status === 'draft' || status === 'submitted' || status === 'paused'
          ? t(`waiting.${status}`)
          : null
  return said === null ? null : (
    <Text size="xs" c="dimmed">
      {said}
    </Text>
  )
}

function RowMenu({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const may = useMay()
  const words = useWords()
  const navigate = useNavigate()
  const clone = useClone()
  const move = useMove()
  const { campaign_id: id, status, version, name } = campaign
  const steps = STEPS[status]
  const tell = { onError: (error: unknown) => notifications.show({ color: 'red', message: words(error) }) }
  const archive = (back: boolean) =>
    move.mutate(
      { campaignId: id, move: back ? 'unarchive' : 'archive', version },
      {
        ...tell,
        onSuccess: () => notifications.show({ message: t(back ? 'list.unarchived' : 'list.archived', { name }) }),
      },
    )
  const copy = () =>
    clone.mutate(id, { ...tell, onSuccess: (made) => void navigate(`/campaigns/${made.campaign_id}/edit`) })
  const canEdit = may('replace_campaign') && EDITABLE.includes(status)
  const canArchive = steps.includes('archive') && may('move_campaign:archive')
  const canUnarchive = steps.includes('unarchive') && may('move_campaign:unarchive')
  if (!canEdit && !canArchive && !canUnarchive && !may('clone_campaign')) return null
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={t('list.more_of', { name })}>
          <IconDots size={18} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {canEdit && (
          <Menu.Item component={Link} to={`/campaigns/${id}/edit`} leftSection={<IconPencil size={16} aria-hidden />}>
            {t('act.edit')}
          </Menu.Item>
        )}
        {may('clone_campaign') && (
          <Menu.Item onClick={copy} leftSection={<IconCopy size={16} aria-hidden />}>
            {t('act.clone')}
          </Menu.Item>
        )}
        {canArchive && (
          <Menu.Item onClick={() => archive(false)} leftSection={<IconArchive size={16} aria-hidden />}>
            {t('act.archive')}
          </Menu.Item>
        )}
        {canUnarchive && (
          <Menu.Item onClick={() => archive(true)} leftSection={<IconArchiveOff size={16} aria-hidden />}>
            {t('act.unarchive')}
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  )
}

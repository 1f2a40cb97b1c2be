// What may be done with a campaign now. What cannot be taken back asks first and says what it does.
import { ActionIcon, Button, Group, List, Menu, Modal, Stack, Text, Textarea } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconArchive, IconCopy, IconDots, IconPencil } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate } from 'react-router'
import { ProblemNote, useWords } from '@/shared/ui/ProblemNote'
import { useMay, useSession } from '../../../session'
import { type Move, useClone, useHistory, useMove } from '../data'
import { operationOf, STEPS } from '../life'
import { authors, type CampaignView } from '../model'
import { TEXTS } from '../texts'

const EDITABLE = ['draft', 'submitted', 'approved', 'paused']
/** Steps that ask first: some take a word with them, a rejection needs one. */
const ASKS: Partial<Record<Move, { colour?: string; note?: 'may' | 'must' }>> = {
  approve: { note: 'may' },
  reject: { note: 'must', colour: 'red' },
  pause: { note: 'may' },
  stop: { note: 'may', colour: 'red' },
  archive: {},
}
const FIRST: readonly Move[] = ['submit', 'approve', 'resume', 'unarchive']

export function Actions({ campaign }: { campaign: CampaignView }) {
  const { t } = useTranslation(TEXTS)
  const may = useMay()
  const words = useWords()
  const navigate = useNavigate()
  const { user_id } = useSession()
  const [asking, setAsking] = useState<Move | null>(null)
  const move = useMove()
  const clone = useClone()
  const { campaign_id: id, version, status } = campaign
  const submitted = status === 'submitted' && may('move_campaign:approve')
  const history = useHistory(id)
  const own = submitted && history.data ? authors(history.data).includes(`user:${user_id}`) : false
  const steps = STEPS[status].filter((step) => may(operationOf(step)))
  const tell = (error: unknown) => notifications.show({ color: 'red', message: words(error) })
  const take = (step: Move) => {
    if (ASKS[step]) return setAsking(step)
    move.mutate(
      { campaignId: id, move: step, version },
      { onError: tell, onSuccess: () => notifications.show({ message: t(`act.done.${step}`) }) },
    )
  }
  const copy = () =>
    clone.mutate(id, { onError: tell, onSuccess: (made) => void navigate(`/campaigns/${made.campaign_id}/edit`) })
  const canEdit = may('replace_campaign') && EDITABLE.includes(status)
  const rest = steps.includes('archive')
  return (
    <Group gap="xs">
      {canEdit && (
        <Button
          component={Link}
          to={`/campaigns/${id}/edit`}
          variant="default"
          leftSection={<IconPencil size={16} aria-hidden />}
        >
          {t('act.edit')}
        </Button>
      )}
      {steps
        .filter((step) => step !== 'archive')
        .map((step) => (
          <Button
            key={step}
            loading={move.isPending && move.variables?.move === step}
            disabled={own && step === 'approve'}
            onClick={() => take(step)}
            {...(FIRST.includes(step)
              ? {}
              : { variant: 'light' as const, ...(ASKS[step]?.colour ? { color: ASKS[step].colour } : {}) })}
          >
            {t(`act.${step}`)}
          </Button>
        ))}
      {(may('clone_campaign') || rest) && (
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="default" size={36} aria-label={t('act.more')}>
              <IconDots size={18} aria-hidden />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            {may('clone_campaign') && (
              <Menu.Item onClick={copy} leftSection={<IconCopy size={16} aria-hidden />}>
                {t('act.clone')}
              </Menu.Item>
            )}
            {rest && (
              <Menu.Item onClick={() => take('archive')} leftSection={<IconArchive size={16} aria-hidden />}>
                {t('act.archive')}
              </Menu.Item>
            )}
          </Menu.Dropdown>
        </Menu>
      )}
      {asking && <Ask key={asking} step={asking} campaign={campaign} onClose={() => setAsking(null)} />}
    </Group>
  )
}

function Ask({ step, campaign, onClose }: { step: Move; campaign: CampaignView; onClose: () => void }) {
  const { t } = useTranslation([TEXTS, 'shared'])
  const [note, setNote] = useState('')
  const move = useMove()
  const { colour, note: wants } = ASKS[step] ?? {}
  const take = () =>
    move.mutate(
      { campaignId: campaign.campaign_id, move: step, version: campaign.version, reason: note.trim() },
      {
        onSuccess: () => {
          notifications.show({ message: t(`act.done.${step}`) })
          onClose()
        },
      },
    )
  return (
    <Modal
      opened
      onClose={onClose}
      title={t(`ask.${step}.title`, { name: campaign.name })}
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      <Stack gap="sm">
        {step === 'stop' ? (
          <List size="sm" spacing={4}>
            {['queued', 'held', 'claimed', 'flying', 'forever'].map((one) => (
              <List.Item key={one}>{t(`ask.stop.${one}`)}</List.Item>
            ))}
          </List>
        ) : (
          <Text size="sm">{t(`ask.${step}.text`)}</Text>
        )}
        {wants && (
          <Textarea
            label={t(wants === 'must' ? 'ask.reason' : 'ask.note')}
            description={t('ask.note_hint')}
            required={wants === 'must'}
            autosize
            minRows={2}
            maxLength={1000}
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
          />
        )}
        {move.error && <ProblemNote error={move.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus={!wants}>
            {t('shared:cancel')}
          </Button>
          <Button
            loading={move.isPending}
            disabled={wants === 'must' && note.trim() === ''}
            onClick={take}
            {...(colour ? { color: colour } : {})}
          >
            {t(`act.${step}`)}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}

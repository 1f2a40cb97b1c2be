// Everything that was done to a campaign, newest first, and by whom.
import { Text, Timeline } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { useSession } from '../../../session'
import { useHistory } from '../data'
import { TEXTS } from '../texts'

export function HistoryTab({ id }: { id: string }) {
  const query = useHistory(id)
  return <Asked query={query}>{(history) => <Steps history={history} />}</Asked>
}

function Steps({ history }: { history: Schemas['History'] }) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const { user_id } = useSession()
  const who = (actor: string) => {
    if (actor === `user:${user_id}`) return t('history.you')
    const name = history.people[actor]
    if (name) return name
    const kind = actor.split(':')[0] ?? actor
    return t(`history.actor.${['user', 'key', 'scheduler'].includes(kind) ? kind : 'other'}`, { actor })
  }
  const first = history.versions[0]
  return (
    <Timeline bulletSize={14} lineWidth={2}>
      {history.moves.toReversed().map(({ move, at, actor, version, reason }, index) => (
        <Timeline.Item key={`${at} ${move} ${index}`} title={t(`history.move.${move}`, { version })}>
          {reason && <Text size="sm">“{reason}”</Text>}
          <Text size="xs" c="dimmed">
            {f.dateTime(at)} · {who(actor)} · {t('history.version', { version })}
          </Text>
        </Timeline.Item>
      ))}
      {first && (
        <Timeline.Item title={t('history.move.create')}>
          <Text size="xs" c="dimmed">
            {f.dateTime(first.created_at)} · {who(first.created_by)}
          </Text>
        </Timeline.Item>
      )}
    </Timeline>
  )
}

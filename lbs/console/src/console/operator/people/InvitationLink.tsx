import { useTranslation } from 'react-i18next'
import type { Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Once } from '../Once'

/** The link of an invitation, at the only moment when it is known. */
export function InvitationLink({ invited, close }: { invited: Schemas['InvitedUser']; close: () => void }) {
  const { t } = useTranslation('operator')
  const { dateTime } = useFormat()
  return (
    <Once
      label={t('people.link')}
      text={invited.invitation_url}
      note={t('people.link_once', { email: invited.email, at: dateTime(invited.invitation_expires_at) })}
      close={close}
    />
  )
}

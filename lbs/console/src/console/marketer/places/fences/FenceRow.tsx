import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import type { Fence } from '../queries'
import { Row } from '../Rows'

/** A fence in a list: its name, what it is, and whose profile it has. */
export function FenceRow({ fence, onPoint }: { fence: Fence; onPoint?: (on: boolean) => void }) {
  const { t } = useTranslation('places')
  const format = useFormat()
  const what =
    fence.radius_m === null ? t('fence.area') : t('fence.circle_of', { radius: format.distance(fence.radius_m) })
  return (
    <Row
      to={`/fences/${fence.fence_id}`}
      title={fence.name ?? fence.external_id}
      note={fence.name === null ? undefined : fence.external_id}
      end={`${what} · ${t(`profile.${fence.profile}` as never)}`}
      onPoint={onPoint}
    />
  )
}

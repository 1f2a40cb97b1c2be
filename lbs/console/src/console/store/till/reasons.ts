import { useTranslation } from 'react-i18next'
import { Problem } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { useWords } from '@/shared/ui/ProblemNote'

/** Why a code is refused, in plain words. */
export function useReason() {
  const { t, i18n } = useTranslation('store')
  const { duration } = useFormat()
  const words = useWords()
  return (error: unknown): string => {
    if (!(error instanceof Problem)) return words(error)
    if (error.status === 429) return t('refused.locked', { wait: duration(error.retryAfterS ?? 0) })
    const known = `refused.${error.reason ?? error.slug}`
    if (!i18n.exists(known, { ns: 'store' })) return words(error)
    // the API names the figure that was missed, which we do not know here
    return error.reason === 'min_spend' ? `${t(known)} (${error.detail})` : t(known)
  }
}

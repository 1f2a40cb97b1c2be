// What an offer is worth, in the reader's words.
import { useTranslation } from 'react-i18next'
import type { Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'

type Offer = Schemas['Offer']

/** e.g. "20 % off, at most €5.00, for orders of €30.00 or more". */
export function useOfferValue() {
  const { t } = useTranslation('store')
  const { share, money, number } = useFormat()
  return (offer: Offer): string => {
    const cash = (amount: number) => (offer.currency ? money(amount, offer.currency) : number(amount))
    const parts = [
      offer.kind === 'percentage'
        ? t('value.off', { value: share((offer.value ?? 0) / 100) })
        : offer.kind === 'amount'
          ? t('value.off', { value: cash(offer.value ?? 0) })
          : t(`value.${offer.kind}`),
    ]
    if (offer.max_cost != null && offer.kind === 'percentage')
      parts.push(t('value.most', { value: cash(offer.max_cost) }))
    if (offer.min_spend) parts.push(t('value.least', { value: cash(offer.min_spend) }))
    return parts.join(t('value.and'))
  }
}

import { Group, Stack, Text } from '@mantine/core'
import { IconTicket } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { useOfferValue } from '../offers'
import type { Store } from '../stores'
import { useOffers } from './questions'

/** What a shopper finds at the store now. */
export function OffersPanel({ store }: { store: Store }) {
  const { t } = useTranslation('store')
  const { dateTime } = useFormat()
  const value = useOfferValue()
  const query = useOffers(store)
  return (
    <Asked query={query}>
      {(offers) =>
        offers.length === 0 ? (
          <Text size="sm" c="dimmed">
            {t('offers.none')}
          </Text>
        ) : (
          <Stack component="ul" gap="sm" p={0} m={0} style={{ listStyle: 'none' }}>
            {offers.map((one) => (
              <Group key={one.campaign_id} component="li" wrap="nowrap" align="flex-start" gap="sm">
                <IconTicket size={20} stroke={1.6} aria-hidden color="var(--mantine-color-yellow-6)" />
                <div>
                  <Text size="sm" fw={600}>
                    {one.title}
                  </Text>
                  <Text size="sm" c="dimmed">
                    {value(one.offer)}
                    {one.ends_at && ` · ${t('offers.until', { at: dateTime(one.ends_at, store.timezone) })}`}
                  </Text>
                </div>
              </Group>
            ))}
          </Stack>
        )
      }
    </Asked>
  )
}

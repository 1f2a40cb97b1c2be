import { Anchor, Badge, Group, Paper, Stack, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { useFormat } from '@/shared/format'
import { OpenState } from './OpenState'
import { type NearOffers, offerPath, useWorth } from './offers'

/** A store with what it offers. */
export function OfferCard({ store }: { store: NearOffers }) {
  const { t } = useTranslation('app')
  const { distance } = useFormat()
  const worth = useWorth()
  return (
    <Paper withBorder p="md" component="section" aria-label={store.name}>
      <Group justify="space-between" wrap="nowrap" align="flex-start" gap="xs">
        <Text fw={600} lineClamp={2}>
          {store.name}
        </Text>
        <Text
          size="sm"
          style={{ whiteSpace: 'nowrap' }}
          aria-label={t('nearby.away', { how: distance(store.distance_m) })}
        >
          {distance(store.distance_m)}
        </Text>
      </Group>
      <Group gap="xs">
        <OpenState storeId={store.store_id} timezone={store.timezone} />
        <Text size="sm" c="dimmed" lineClamp={1}>
          {store.address}
        </Text>
      </Group>
      <Stack component="ul" gap={6} mt="xs" p={0} m={0} style={{ listStyle: 'none' }}>
        {store.offers.map((offer) => (
          <Group
            key={offer.campaign_id}
            component="li"
            gap="xs"
            wrap="nowrap"
            justify="space-between"
            align="flex-start"
          >
            <Anchor component={Link} to={offerPath({ ...offer, store_id: store.store_id })} fw={550}>
              {offer.title}
            </Anchor>
            {worth(offer.offer) && (
              <Badge
                variant="light"
                color="orange"
                c="light-dark(#9a3b04, #ffc078)"
                style={{ flexShrink: 0 }}
                mt={2}
                tt="none"
              >
                {worth(offer.offer)}
              </Badge>
            )}
          </Group>
        ))}
      </Stack>
    </Paper>
  )
}

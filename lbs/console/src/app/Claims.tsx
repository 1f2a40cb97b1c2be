import { Anchor, Badge, Button, Group, Paper, Stack, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { type Claim, useClaims } from './claims'

export default function Claims() {
  const { t } = useTranslation('app')
  const claims = useClaims()
  return (
    <Page title={t('claims.title')}>
      <Asked query={claims}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.items)
          if (all.length === 0)
            return (
              <Text>
                {t('claims.none')}{' '}
                <Anchor component={Link} to="/">
                  {t('offer.others')}
                </Anchor>
              </Text>
            )
          const live = all.filter((one) => one.state === 'claimed')
          const over = all.filter((one) => one.state !== 'claimed')
          return (
            <>
              <Some claims={live} />
              {over.length > 0 && (
                <Stack gap="xs" component="section">
                  <Text component="h2" fw={600} m={0}>
                    {t('claims.over')}
                  </Text>
                  <Some claims={over} />
                </Stack>
              )}
            </>
          )
        }}
      </Asked>
      {claims.hasNextPage && (
        <Button variant="default" loading={claims.isFetchingNextPage} onClick={() => void claims.fetchNextPage()}>
          {t('shared:more')}
        </Button>
      )}
    </Page>
  )
}

const COLOURS = { claimed: 'brand', redeemed: 'gray', expired: 'gray', cancelled: 'gray' } as const

function Some({ claims }: { claims: readonly Claim[] }) {
  const { t } = useTranslation('app')
  const format = useFormat()
  return (
    <Stack component="ul" gap="sm" p={0} m={0} style={{ listStyle: 'none' }}>
      {claims.map((claim) => (
        <Paper key={claim.claim_id} component="li" withBorder p="md">
          <Group justify="space-between" wrap="nowrap" align="flex-start">
            <Stack gap={2}>
              <Anchor component={Link} to={`/claims/${claim.claim_id}`} fw={600}>
                {claim.title}
              </Anchor>
              <Text size="sm" c="dimmed">
                {claim.state === 'claimed'
                  ? t('claims.until', { when: format.dateTime(claim.expires_at) })
                  : t('claims.claimed_at', { when: format.dateTime(claim.created_at) })}
              </Text>
            </Stack>
            <Badge variant="light" color={COLOURS[claim.state]} tt="none" style={{ flexShrink: 0 }}>
              {t(`claims.state.${claim.state}`)}
            </Badge>
          </Group>
        </Paper>
      ))}
    </Stack>
  )
}

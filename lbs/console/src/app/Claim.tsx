import { Alert, Box, Skeleton, Stack, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { useParams } from 'react-router'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { type Claim as Claimed, useClaim, useNow, useQr } from './claims'
import { countdown } from './code'

export default function Claim() {
  const { claimId = '' } = useParams()
  const query = useClaim(claimId)
  return (
    <Asked query={query}>
      {(claim) => (
        <Page title={claim.title}>
          <Code claim={claim} />
        </Page>
      )}
    </Asked>
  )
}

function Code({ claim }: { claim: Claimed }) {
  const { t } = useTranslation('app')
  const format = useFormat()
  const left = Date.parse(claim.expires_at) - useNow()
  const shown = claim.state === 'claimed' && left > 0 && claim.code !== null
  return (
    <Stack align="center" gap="md">
      <div role="status" style={{ width: '100%' }}>
        {claim.state === 'redeemed' ? (
          <Alert color="green" icon={<IconCircleCheck aria-hidden />} title={t('claim.redeemed')}>
            {t('claim.enjoy')}
          </Alert>
        ) : shown ? null : (
          <Alert color="gray" title={t(`claims.state.${claim.state === 'claimed' ? 'expired' : claim.state}`)}>
            {t('claim.over')}
          </Alert>
        )}
      </div>
      {shown && (
        <>
          <Text>{t('claim.show')}</Text>
          <Picture claim={claim} />
          <Text aria-hidden fw={650} size="lg">
            {t('claim.left', { time: countdown(left) })}
          </Text>
          <Text size="sm" c="dimmed">
            {t('claims.until', { when: format.dateTime(claim.expires_at) })}
          </Text>
        </>
      )}
      {claim.offer.terms && <Text size="sm">{claim.offer.terms}</Text>}
    </Stack>
  )
}

/** Black on white in any colours: scanners want it so. The screen stays on while it is shown. */
function Picture({ claim }: { claim: Claimed }) {
  const { t } = useTranslation('app')
  const qr = useQr(claim)
  useEffect(() => {
    let lock: WakeLockSentinel | undefined
    let over = false
    void navigator.wakeLock
      ?.request('screen')
      .then((got) => {
        lock = got
        if (over) void got.release()
      })
      // not allowed now, e.g. with a low battery: the screen goes dark as it always does
      .catch(() => undefined)
    return () => {
      over = true
      void lock?.release()
    }
  }, [])
  return (
    <Box bg="white" p="md" w="100%" maw={360} style={{ borderRadius: 'var(--mantine-radius-md)', textAlign: 'center' }}>
      {qr.data ? (
        <img
          src={qr.data}
          alt={t('claim.qr')}
          style={{ width: '100%', imageRendering: 'pixelated', display: 'block' }}
        />
      ) : qr.isError ? (
        <ProblemNote error={qr.error} retry={() => void qr.refetch()} />
      ) : (
        <Skeleton h={300} />
      )}
      <Text c="black" ff="monospace" fz={28} fw={700} style={{ letterSpacing: '0.05em', whiteSpace: 'nowrap' }}>
        {claim.code}
      </Text>
    </Box>
  )
}

import { Alert, Button, Stack, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Problem } from '@/shared/api/client'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useDevice } from './device'
import { pushState, subscribe, unsubscribe } from './push'

const STATE = ['push state'] as const

/** Notifications of this browser while the app is closed. */
export function PushSwitch() {
  const { t } = useTranslation('app')
  const device = useDevice()
  const queries = useQueryClient()
  const { data: state } = useQuery({ queryKey: STATE, queryFn: pushState })
  const change = useMutation({
    mutationFn: async () => {
      if (state === 'on') await unsubscribe(device)
      else await subscribe(device)
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: STATE }),
  })
  if (!state) return null
  return (
    <Stack gap="xs" align="flex-start">
      <Text size="sm" role="status">
        {t(`push.state.${state}`)}
      </Text>
      {(state === 'on' || state === 'off') && (
        <Button
          variant={state === 'on' ? 'default' : 'filled'}
          loading={change.isPending}
          onClick={() => change.mutate()}
        >
          {t(state === 'on' ? 'push.off' : 'push.on')}
        </Button>
      )}
      {change.isError &&
        (change.error instanceof Problem ? (
          <ProblemNote error={change.error} />
        ) : (
          <Alert role="alert" color="yellow">
            {t('push.unreachable')}
          </Alert>
        ))}
    </Stack>
  )
}

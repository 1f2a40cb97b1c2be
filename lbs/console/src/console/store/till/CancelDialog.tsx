import { Alert, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Store } from '../stores'
import { useReason } from './reasons'
import { type Redemption, useCancel } from './steps'

interface Props {
  store: Store
  /** Null: closed. */
  redemptionId: string | null
  close: () => void
  done?: (now: Redemption) => void
}

/** Takes a redemption back, after asking: the shopper's code stays used. */
export function CancelDialog({ store, redemptionId, close, done }: Props) {
  const { t } = useTranslation(['store', 'shared'])
  const [why, setWhy] = useState('')
  const cancel = useCancel(store)
  const reason = useReason()
  const shut = () => {
    cancel.reset()
    setWhy('')
    close()
  }
  return (
    <Modal
      opened={redemptionId !== null}
      onClose={shut}
      title={t('cancel.title')}
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (redemptionId === null) return
          cancel.mutate(
            { redemptionId, reason: why.trim() },
            {
              onSuccess: (now) => {
                done?.(now)
                shut()
              },
            },
          )
        }}
      >
        <Stack>
          <Text size="sm">{t('cancel.lead')}</Text>
          <TextInput
            label={t('cancel.reason')}
            maxLength={200}
            data-autofocus
            value={why}
            onChange={(event) => setWhy(event.currentTarget.value)}
          />
          {cancel.isError && (
            <Alert color="red" role="alert">
              {reason(cancel.error)}
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={shut}>
              {t('cancel.keep')}
            </Button>
            <Button type="submit" color="red" loading={cancel.isPending}>
              {t('cancel.go')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

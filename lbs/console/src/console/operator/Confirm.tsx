import { Button, Group, Modal, Stack } from '@mantine/core'
import type { UseMutationResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { ProblemNote } from '@/shared/ui/ProblemNote'

interface Props<T> {
  /** What it is about; null: closed. */
  about: T | null
  title: string
  action: string
  /** What is done to it once somebody said yes. */
  doing: UseMutationResult<unknown, Error, T>
  close: () => void
  children: (about: T) => ReactNode
}

/** Asks before something is done that nothing undoes. */
export function Confirm<T>({ about, title, action, doing, close, children }: Props<T>) {
  const { t } = useTranslation('shared')
  const shut = () => {
    doing.reset()
    close()
  }
  return (
    <Modal opened={about !== null} onClose={shut} title={title} closeButtonProps={{ 'aria-label': t('close') }}>
      <Stack>
        {about !== null && children(about)}
        {doing.isError && <ProblemNote error={doing.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={shut} data-autofocus>
            {t('cancel')}
          </Button>
          <Button
            color="red"
            loading={doing.isPending}
            onClick={() => about !== null && doing.mutate(about, { onSuccess: shut })}
          >
            {action}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}

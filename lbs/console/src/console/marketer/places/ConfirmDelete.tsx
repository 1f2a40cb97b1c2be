import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconTrash } from '@tabler/icons-react'
import type { UseMutationResult } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { ProblemNote } from '@/shared/ui/ProblemNote'

interface Props {
  title: string
  /** What goes with it. */
  children: string
  deletion: UseMutationResult<unknown, Error, string>
  id: string
}

/** A button that asks before it deletes. */
export function ConfirmDelete({ title, children, deletion, id }: Props) {
  const { t } = useTranslation('shared')
  const [opened, { open, close }] = useDisclosure()
  return (
    <>
      <Button variant="default" leftSection={<IconTrash size={16} aria-hidden />} onClick={open}>
        {t('delete')}
      </Button>
      <Modal opened={opened} onClose={close} title={title} closeButtonProps={{ 'aria-label': t('close') }} centered>
        <Stack>
          <Text size="sm">{children}</Text>
          {deletion.isError && <ProblemNote error={deletion.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close} data-autofocus>
              {t('cancel')}
            </Button>
            <Button color="red" loading={deletion.isPending} onClick={() => deletion.mutate(id)}>
              {t('delete')}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}

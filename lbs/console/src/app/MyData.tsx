import { Button, Group, List, Modal, Stack, Table, Text, Title } from '@mantine/core'
import { IconDownload, IconTrash } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { body, Problem } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useApi, useDevice, useMine } from './device'
import { Back } from './Pairing'

/** What each list of the export is; the others are told in the file. */
const LISTS = ['positions', 'visits', 'decisions', 'notifications', 'claims', 'consents', 'channels'] as const

export default function MyData() {
  const { t } = useTranslation('app')
  const format = useFormat()
  const api = useApi()
  const { id } = useDevice()
  const all = useQuery({
    queryKey: ['export'],
    queryFn: () => body(api.GET('/v1/devices/{device_id}/export', { params: { path: { device_id: id } } })),
    gcTime: 0,
  })
  const save = (data: unknown) => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: 'application/json' }))
    Object.assign(document.createElement('a'), { href: url, download: 'my-data.json' }).click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }
  return (
    <Page title={t('data.title')} lead={t('data.lead')}>
      <Back />
      <Asked query={all}>
        {(data) => (
          <Stack>
            <Table>
              <Table.Caption>{t('data.registered', { id, when: registered(data, format.dateTime) })}</Table.Caption>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th scope="col">{t('data.what')}</Table.Th>
                  <Table.Th scope="col" ta="right">
                    {t('data.number')}
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {LISTS.map((name) => (
                  <Table.Tr key={name}>
                    <Table.Td>
                      {t(`data.lists.${name}`)}
                      <Text size="xs" c="dimmed">
                        {t(`data.kept.${name}`)}
                      </Text>
                    </Table.Td>
                    <Table.Td ta="right">{format.number(data[name].length)}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
            <Button
              variant="default"
              w="fit-content"
              leftSection={<IconDownload size={18} aria-hidden />}
              onClick={() => save(data)}
            >
              {t('data.download')}
            </Button>
          </Stack>
        )}
      </Asked>
      <Erase />
    </Page>
  )
}

function registered(data: { registration: Record<string, unknown>[] }, format: (at: string) => string): string {
  const at = data.registration[0]?.created_at
  return typeof at === 'string' ? format(at) : '–'
}

function Erase() {
  const { t } = useTranslation('app')
  const api = useApi()
  const { id } = useDevice()
  const { forget } = useMine()
  const [asking, setAsking] = useState(false)
  const erase = useMutation({
    mutationFn: async () => {
      await api.DELETE('/v1/devices/{device_id}', { params: { path: { device_id: id } } }).catch((error: unknown) => {
        // gone already, or its token is none any more: what is here goes too
        if (!(error instanceof Problem) || ![401, 404].includes(error.status)) throw error
      })
      await forget()
    },
  })
  return (
    <Stack component="section" gap="xs">
      <Title order={2} size="h4">
        {t('erase.title')}
      </Title>
      <Text size="sm">{t('erase.lead')}</Text>
      <Button
        color="red"
        variant="light"
        w="fit-content"
        leftSection={<IconTrash size={18} aria-hidden />}
        onClick={() => setAsking(true)}
      >
        {t('erase.go')}
      </Button>
      <Modal
        opened={asking}
        onClose={() => setAsking(false)}
        title={t('erase.sure')}
        closeButtonProps={{ 'aria-label': t('shared:close') }}
      >
        <Stack>
          <Text fw={600}>{t('erase.goes')}</Text>
          <List size="sm">
            <List.Item>{t('erase.goes_1')}</List.Item>
            <List.Item>{t('erase.goes_2')}</List.Item>
            <List.Item>{t('erase.goes_3')}</List.Item>
          </List>
          <Text fw={600}>{t('erase.stays')}</Text>
          <List size="sm">
            <List.Item>{t('erase.stays_1')}</List.Item>
            <List.Item>{t('erase.stays_2')}</List.Item>
          </List>
          {erase.isError && <ProblemNote error={erase.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setAsking(false)}>
              {t('shared:cancel')}
            </Button>
            <Button color="red" loading={erase.isPending} onClick={() => erase.mutate()}>
              {t('erase.yes')}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Stack>
  )
}

// The people of a tenant, or those who operate the installation.
import { ActionIcon, Badge, Button, Menu, Modal, ScrollArea, Table, Text } from '@mantine/core'
import { IconDots, IconPlus } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useSession } from '../session'
import { Confirm } from './Confirm'
import { InvitationLink } from './people/InvitationLink'
import { PEOPLE, type Person, usePeople } from './people/questions'
import { PersonForm } from './people/PersonForm'
import './texts'

const COLOURS = { invited: 'yellow', active: 'green', disabled: 'gray' } as const

export default function People() {
  const { t } = useTranslation(['operator', 'shared', 'console'])
  const { date } = useFormat()
  const { user_id: me } = useSession()
  const client = useQueryClient()
  const query = usePeople()
  const [editing, setEditing] = useState<Person | 'new' | null>(null)
  const [deleting, setDeleting] = useState<Person | null>(null)
  const again = () => client.invalidateQueries({ queryKey: PEOPLE })
  const invite = useMutation({
    mutationFn: ({ user_id: id }: Person) =>
      body(api.POST('/v1/users/{user_id}/invite', { params: { path: { user_id: id } } })),
    onSuccess: again,
  })
  const change = useMutation({
    mutationFn: ({ user_id: id, status }: Person) =>
      body(
        api.PATCH('/v1/users/{user_id}', {
          params: { path: { user_id: id } },
          body: { status: status === 'disabled' ? 'active' : 'disabled' },
        }),
      ),
    onSuccess: again,
  })
  const remove = useMutation({
    mutationFn: ({ user_id: id }: Person) => api.DELETE('/v1/users/{user_id}', { params: { path: { user_id: id } } }),
    onSuccess: again,
  })
  return (
    <Page
      title={t('people.title')}
      lead={t('people.lead')}
      actions={
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setEditing('new')}>
          {t('people.invite')}
        </Button>
      }
    >
      {change.isError && <ProblemNote error={change.error} />}
      {invite.isError && <ProblemNote error={invite.error} />}
      <Asked query={query}>
        {(people) => (
          <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('people.title') }}>
            <Table verticalSpacing="xs" miw={620}>
              <Table.Thead>
                <Table.Tr>
                  {(['name', 'role', 'status', 'since'] as const).map((name) => (
                    <Table.Th key={name} scope="col">
                      {t(`people.${name}`)}
                    </Table.Th>
                  ))}
                  <Table.Th scope="col" />
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {people.map((person) => (
                  <Table.Tr key={person.user_id}>
                    <Table.Th scope="row" fw={500}>
                      {person.name}
                      <Text size="xs" c="dimmed">
                        {person.email}
                      </Text>
                    </Table.Th>
                    <Table.Td>
                      {t(`console:role.${person.role}`)}
                      {person.store_ids.length > 0 && (
                        <Text size="xs" c="dimmed">
                          {t('people.of_stores', { count: person.store_ids.length })}
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td>
                      <Badge variant="light" color={COLOURS[person.status]}>
                        {t(`people.is.${person.status}`)}
                      </Badge>
                    </Table.Td>
                    <Table.Td>{date(person.created_at)}</Table.Td>
                    <Table.Td ta="right">
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <ActionIcon
                            variant="subtle"
                            color="gray"
                            aria-label={`${t('people.actions')}: ${person.name}`}
                          >
                            <IconDots size={18} aria-hidden />
                          </ActionIcon>
                        </Menu.Target>
                        <Menu.Dropdown>
                          <Menu.Item onClick={() => setEditing(person)}>{t('people.change')}</Menu.Item>
                          {person.status !== 'disabled' && (
                            <Menu.Item onClick={() => invite.mutate(person)}>{t('people.again')}</Menu.Item>
                          )}
                          {person.user_id !== me && (
                            <>
                              <Menu.Item onClick={() => change.mutate(person)}>
                                {t(person.status === 'disabled' ? 'people.enable' : 'people.disable')}
                              </Menu.Item>
                              <Menu.Item color="red" onClick={() => setDeleting(person)}>
                                {t('shared:delete')}
                              </Menu.Item>
                            </>
                          )}
                        </Menu.Dropdown>
                      </Menu>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </ScrollArea>
        )}
      </Asked>
      <PersonForm key={editing === 'new' ? 'new' : editing?.user_id} about={editing} close={() => setEditing(null)} />
      <Modal
        opened={invite.data !== undefined}
        onClose={invite.reset}
        title={t('people.again')}
        closeOnClickOutside={false}
        closeButtonProps={{ 'aria-label': t('shared:close') }}
      >
        {invite.data && <InvitationLink invited={invite.data} close={invite.reset} />}
      </Modal>
      <Confirm
        about={deleting}
        title={t('people.delete_title')}
        action={t('shared:delete')}
        doing={remove}
        close={() => setDeleting(null)}
      >
        {(person) => <Text size="sm">{t('people.delete_lead', { name: person.name, email: person.email })}</Text>}
      </Confirm>
    </Page>
  )
}

import { Button, Group, Modal, MultiSelect, Select, Stack, TextInput } from '@mantine/core'
import { useForm } from '@mantine/form'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { api, body, type Schemas } from '@/shared/api/client'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useMay } from '../../session'
import { nameOf, useStores } from '../../store/stores'
import '../../store/texts'
import { faultsOf } from '../faults'
import { InvitationLink } from './InvitationLink'
import { PEOPLE, type Person, type Role, ROLES } from './questions'

interface Props {
  /** Whom to change, or `new` to invite somebody; null: closed. */
  about: Person | 'new' | null
  close: () => void
}

interface Values {
  email: string
  name: string
  role: Role
  store_ids: string[]
}

const SHOWN = 50

export function PersonForm({ about, close }: Props) {
  const { t } = useTranslation(['operator', 'shared', 'console'])
  const client = useQueryClient()
  // who manages no stores manages those who operate the installation
  const ofTenant = useMay()('list_stores')
  const person = about === 'new' ? null : about
  const form = useForm<Values>({
    initialValues: {
      email: person?.email ?? '',
      name: person?.name ?? '',
      role: person?.role ?? (ofTenant ? 'store_manager' : 'operator'),
      store_ids: person?.store_ids ?? [],
    },
    validate: {
      email: (text) => (/.@./.test(text) ? null : t('people.email_wrong')),
      name: (text) => (text.trim() ? null : t('people.name_missing')),
      store_ids: (ids, { role }) => (role === 'store_manager' && ids.length === 0 ? t('people.stores_missing') : null),
    },
  })
  const save = useMutation({
    mutationFn: async (values: Values): Promise<Schemas['InvitedUser'] | null> => {
      const fields = {
        name: values.name.trim(),
        role: values.role,
        store_ids: values.role === 'store_manager' ? values.store_ids : [],
      }
      if (person === null) return body(api.POST('/v1/users', { body: { ...fields, email: values.email.trim() } }))
      await api.PATCH('/v1/users/{user_id}', { params: { path: { user_id: person.user_id } }, body: fields })
      return null
    },
    onSuccess: (invited) => {
      void client.invalidateQueries({ queryKey: PEOPLE })
      if (invited === null) shut()
    },
    onError: (error) => form.setErrors(faultsOf(error)),
  })
  const shut = () => {
    save.reset()
    form.reset()
    close()
  }
  return (
    <Modal
      opened={about !== null}
      onClose={shut}
      title={t(person ? 'people.change' : 'people.invite')}
      closeOnClickOutside={!save.data}
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      {save.data ? (
        <InvitationLink invited={save.data} close={shut} />
      ) : (
        <form onSubmit={form.onSubmit((values) => save.mutate(values))} noValidate>
          <Stack>
            <TextInput
              label={t('people.email')}
              type="email"
              autoComplete="off"
              required
              disabled={person !== null}
              {...form.getInputProps('email')}
            />
            <TextInput label={t('people.name')} autoComplete="off" required {...form.getInputProps('name')} />
            <Select
              label={t('people.role')}
              description={t(`people.does.${form.values.role}`)}
              data={(ofTenant ? ROLES : (['operator'] as const)).map((role) => ({
                value: role,
                label: t(`console:role.${role}`),
              }))}
              allowDeselect={false}
              {...form.getInputProps('role')}
            />
            {form.values.role === 'store_manager' && <Stores input={form.getInputProps('store_ids')} />}
            {save.isError && <ProblemNote error={save.error} />}
            <Group justify="flex-end">
              <Button type="submit" loading={save.isPending}>
                {t(person ? 'shared:save' : 'people.invite')}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}

function Stores({ input }: { input: object }) {
  const { t } = useTranslation('operator')
  const stores = useStores()
  return (
    <MultiSelect
      label={t('people.stores')}
      searchable
      required
      limit={SHOWN}
      data={(stores.data ?? []).map((store) => ({ value: store.store_id, label: nameOf(store) }))}
      {...input}
    />
  )
}

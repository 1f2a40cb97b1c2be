// Keys of apps, servers and tills.
import { Badge, Button, Group, Modal, ScrollArea, Select, Stack, Switch, Table, Text } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { api, body, everything, type Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { StoreSelect, useStores } from '../store/stores'
import '../store/texts'
import { Confirm } from './Confirm'
import { Once } from './Once'
import './texts'

const KINDS = ['publishable', 'secret', 'store'] as const
type Key = Schemas['KeyView']

const QUERY = ['keys']

export default function Keys() {
  const { t } = useTranslation('operator')
  const { date } = useFormat()
  const client = useQueryClient()
  const [all, setAll] = useState(false)
  const [making, setMaking] = useState(false)
  const [revoking, setRevoking] = useState<Key | null>(null)
  const query = useQuery({
    queryKey: QUERY,
    queryFn: () =>
      everything((cursor) =>
        body(api.GET('/v1/keys', { params: { query: { limit: 1000, ...(cursor ? { cursor } : {}) } } })),
      ),
  })
  const stores = useStores()
  const names = new Map(stores.data?.map((store) => [store.store_id, store.name || store.external_id]))
  const revoke = useMutation({
    mutationFn: ({ key_id: id }: Key) => api.DELETE('/v1/keys/{key_id}', { params: { path: { key_id: id } } }),
    onSuccess: () => client.invalidateQueries({ queryKey: QUERY }),
  })
  return (
    <Page
      title={t('keys.title')}
      lead={t('keys.lead')}
      actions={
        <Button leftSection={<IconPlus size={16} aria-hidden />} onClick={() => setMaking(true)}>
          {t('keys.make')}
        </Button>
      }
    >
      <Asked query={query}>
        {(keys) => {
          const shown = [...keys].reverse().filter((key) => all || key.revoked_at === null)
          return (
            <Stack>
              <Switch label={t('keys.all')} checked={all} onChange={(event) => setAll(event.currentTarget.checked)} />
              <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': t('keys.title') }}>
                <Table verticalSpacing="xs" miw={560}>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th scope="col">{t('keys.prefix')}</Table.Th>
                      <Table.Th scope="col">{t('keys.kind')}</Table.Th>
                      <Table.Th scope="col">{t('keys.made')}</Table.Th>
                      <Table.Th scope="col" />
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {shown.map((key) => (
                      <Table.Tr key={key.key_id}>
                        <Table.Th scope="row" fw={400} ff="monospace">
                          {key.prefix}…
                        </Table.Th>
                        <Table.Td>
                          {t(`keys.of.${key.kind}`)}
                          {key.store_id && ` · ${names.get(key.store_id) ?? key.store_id}`}
                        </Table.Td>
                        <Table.Td>{date(key.created_at)}</Table.Td>
                        <Table.Td ta="right">
                          {key.revoked_at ? (
                            <Badge color="gray">{t('keys.revoked', { at: date(key.revoked_at) })}</Badge>
                          ) : (
                            <Button
                              size="compact-sm"
                              variant="subtle"
                              color="red"
                              aria-label={`${t('keys.revoke')} ${key.prefix}`}
                              onClick={() => setRevoking(key)}
                            >
                              {t('keys.revoke')}
                            </Button>
                          )}
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </ScrollArea>
            </Stack>
          )
        }}
      </Asked>
      <Make opened={making} close={() => setMaking(false)} />
      <Confirm
        about={revoking}
        title={t('keys.revoke_title')}
        action={t('keys.revoke')}
        doing={revoke}
        close={() => setRevoking(null)}
      >
        {(key) => (
          <Text size="sm">
            {t('keys.revoke_lead')} <code>{key.prefix}…</code>
          </Text>
        )}
      </Confirm>
    </Page>
  )
}

function Make({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation(['operator', 'shared'])
  const client = useQueryClient()
  const stores = useStores()
  const [kind, setKind] = useState<(typeof KINDS)[number]>('store')
  const [store, setStore] = useState<string | null>(null)
  const make = useMutation({
    mutationFn: () => body(api.POST('/v1/keys', { body: kind === 'store' ? { kind, store_id: store } : { kind } })),
    onSuccess: () => client.invalidateQueries({ queryKey: QUERY }),
  })
  const shut = () => {
    make.reset()
    setStore(null)
    close()
  }
  return (
    <Modal
      opened={opened}
      onClose={shut}
      title={t('keys.make')}
      closeOnClickOutside={!make.isSuccess}
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      {make.data ? (
        <Once label={t('keys.key')} text={make.data.key} note={t('keys.once')} close={shut} />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            make.mutate()
          }}
        >
          <Stack>
            <Select
              label={t('keys.kind')}
              description={t(`keys.for.${kind}`)}
              data={KINDS.map((one) => ({ value: one, label: t(`keys.of.${one}`) }))}
              value={kind}
              allowDeselect={false}
              onChange={(chosen) => setKind(chosen as typeof kind)}
            />
            {kind === 'store' && (
              <StoreSelect label={t('keys.store')} stores={stores.data ?? []} value={store} onChange={setStore} />
            )}
            {make.isError && <ProblemNote error={make.error} />}
            <Group justify="flex-end">
              <Button type="submit" loading={make.isPending} disabled={kind === 'store' && store === null}>
                {t('keys.make')}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}

// An operator of the installation chooses a tenant to look after; all that is asked from then on is asked of it.
import { Button, Menu, ScrollArea } from '@mantine/core'
import { IconBuilding, IconChevronDown } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { api, body, everything, lookAfter, lookedAfter, type Tenant } from '@/shared/api/client'

const MOST_PX = 360

export function LookAfter() {
  const { t } = useTranslation('console')
  const now = lookedAfter()
  // within a tenant, others are not listed
  const tenants = useQuery({
    queryKey: ['tenants'],
    queryFn: () =>
      everything((cursor) =>
        body(api.GET('/v1/tenants', { params: { query: { limit: 1000, ...(cursor ? { cursor } : {}) } } })),
      ),
    enabled: now === null,
  })
  const choose = (tenant: Tenant | null) => {
    lookAfter(tenant)
    // nothing that was asked before belongs to whom we look after now
    window.location.assign('/console/')
  }
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <Button
          size="compact-md"
          variant={now ? 'light' : 'subtle'}
          color={now ? 'yellow' : 'gray'}
          leftSection={<IconBuilding size={16} aria-hidden />}
          rightSection={<IconChevronDown size={14} aria-hidden />}
          maw={{ base: 150, sm: 260 }}
          aria-label={`${t('look_after.title')}: ${now?.name ?? t('look_after.installation')}`}
        >
          {now?.name ?? t('look_after.installation')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {now ? (
          <Menu.Item onClick={() => choose(null)}>{t('look_after.leave')}</Menu.Item>
        ) : (
          <>
            <Menu.Label>{t('look_after.choose')}</Menu.Label>
            <ScrollArea.Autosize mah={MOST_PX}>
              {tenants.data?.map((tenant) => (
                <Menu.Item key={tenant.tenant_id} onClick={() => choose(tenant)}>
                  {tenant.name}
                </Menu.Item>
              ))}
            </ScrollArea.Autosize>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  )
}

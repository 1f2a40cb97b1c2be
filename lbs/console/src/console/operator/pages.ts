import { IconActivity, IconHistory, IconKey, IconUsers, IconWalk, IconWebhook } from '@tabler/icons-react'
import type { PageOf } from '../area'
import { useAnyWalkers } from './walkers'

export const pages: readonly PageOf[] = [
  {
    path: 'operations',
    needs: 'operations',
    load: () => import('./Operations'),
    nav: { label: 'nav.operations', icon: IconActivity },
  },
  {
    path: 'live',
    needs: 'demo_walkers',
    load: () => import('./Live'),
    nav: { label: 'nav.live', icon: IconWalk, useShown: useAnyWalkers },
  },
  {
    path: 'people',
    needs: 'list_users',
    load: () => import('./People'),
    nav: { label: 'nav.people', icon: IconUsers },
  },
  { path: 'keys', needs: 'list_keys', load: () => import('./Keys'), nav: { label: 'nav.keys', icon: IconKey } },
  {
    path: 'webhooks',
    needs: 'list_webhooks',
    load: () => import('./Webhooks'),
    nav: { label: 'nav.webhooks', icon: IconWebhook },
  },
  { path: 'webhooks/:webhookId', needs: 'get_webhook', load: () => import('./Webhook') },
  { path: 'audit', needs: 'list_audit', load: () => import('./Audit'), nav: { label: 'nav.audit', icon: IconHistory } },
]

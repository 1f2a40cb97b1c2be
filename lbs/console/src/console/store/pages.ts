import { IconChartBar, IconScan } from '@tabler/icons-react'
import type { PageOf } from '../area'

export const pages: readonly PageOf[] = [
  {
    path: 'dashboard',
    needs: 'traffic_overview',
    load: () => import('./Overview'),
    nav: { label: 'nav.dashboard', icon: IconChartBar },
  },
  { path: 'dashboard/:storeId', needs: 'traffic_today', load: () => import('./Dashboard') },
  {
    path: 'till',
    needs: 'prepare_redemption',
    load: () => import('./Till'),
    nav: { label: 'nav.till', icon: IconScan },
  },
]

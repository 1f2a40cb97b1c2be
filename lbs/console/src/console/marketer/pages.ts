import { IconBuildingStore, IconFileImport, IconPolygon, IconSpeakerphone } from '@tabler/icons-react'
import type { PageOf } from '../area'

const editStore = () => import('./places/stores/EditStore')
const editFence = () => import('./places/fences/Editor')

export const pages: readonly PageOf[] = [
  {
    path: 'campaigns',
    needs: 'list_campaigns',
    load: () => import('./campaigns/List'),
    nav: { label: 'nav.campaigns', icon: IconSpeakerphone },
  },
  { path: 'campaigns/new', needs: 'create_campaign', load: () => import('./campaigns/Editor') },
  { path: 'campaigns/:id', needs: 'get_campaign', load: () => import('./campaigns/One') },
  { path: 'campaigns/:id/edit', needs: 'replace_campaign', load: () => import('./campaigns/Editor') },
  { path: 'campaigns/:id/explain', needs: 'explain_campaign', load: () => import('./campaigns/Explain') },
  {
    path: 'stores',
    needs: 'stores_nearby',
    load: () => import('./places/stores/Stores'),
    nav: { label: 'nav.stores', icon: IconBuildingStore },
  },
  { path: 'stores/new', needs: 'create_store', load: editStore },
  { path: 'stores/:storeId', needs: 'get_store', load: () => import('./places/stores/Store') },
  { path: 'stores/:storeId/edit', needs: 'replace_store', load: editStore },
  {
    path: 'fences',
    needs: 'list_fences',
    load: () => import('./places/fences/Fences'),
    nav: { label: 'nav.fences', icon: IconPolygon },
  },
  { path: 'fences/new', needs: 'create_fence', load: editFence },
  { path: 'fences/:fenceId', needs: 'get_fence', load: () => import('./places/fences/Fence') },
  { path: 'fences/:fenceId/edit', needs: 'replace_fence', load: editFence },
  {
    path: 'imports',
    needs: 'import_stores',
    load: () => import('./places/imports/Import'),
    nav: { label: 'nav.imports', icon: IconFileImport },
  },
]

import type { Icon } from '@tabler/icons-react'
import type { ComponentType } from 'react'

/** A page of the console: its path under /console/, who sees it, and its code, which is loaded when it is opened. */
export interface PageOf {
  path: string
  /** Who may not ask for this operation of the API does not see the page. */
  needs: string
  load: () => Promise<{ default: ComponentType }>
  /** In the navigation: a text of the namespace `console` and an icon. Pages without one are reached from others. */
  nav?: {
    label: string
    icon: Icon
    /** A hook: whether there is something to go for at the moment. */
    useShown?: () => boolean
  }
}

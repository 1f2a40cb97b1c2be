// Charts are loaded when the first one is shown: the drawing library is larger than most pages.
import { Skeleton } from '@mantine/core'
import { type ComponentProps, lazy, Suspense } from 'react'

const Drawn = lazy(() => import('./Bars'))

export type { Series } from './Bars'

export function Bars(props: ComponentProps<typeof Drawn>) {
  return (
    <Suspense fallback={<Skeleton height={(props.height ?? 260) + 30} />}>
      <Drawn {...props} />
    </Suspense>
  )
}

import { Skeleton } from '@mantine/core'
import { lazy, Suspense } from 'react'
import type { PlaceMapProps } from './PlaceMap'

const Drawn = lazy(() => import('./PlaceMap'))

export function LazyPlaceMap(props: PlaceMapProps) {
  return (
    <Suspense fallback={<Skeleton height={props.height ?? 480} />}>
      <Drawn {...props} />
    </Suspense>
  )
}

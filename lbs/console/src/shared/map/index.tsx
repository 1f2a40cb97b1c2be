// Maps are loaded when the first one is shown: the drawing library is larger than the rest of the pages together.
import { Skeleton } from '@mantine/core'
import { lazy, Suspense } from 'react'
import type { MapViewProps } from './MapView'

const Drawn = lazy(() => import('./MapView'))

/** Import layers (`./Layers`, `./cells`) only from modules that are loaded lazily themselves. */
export function LazyMap(props: MapViewProps) {
  return (
    <Suspense fallback={<Skeleton height={props.height ?? 480} />}>
      <Drawn {...props} />
    </Suspense>
  )
}

// The map of the editor: what is being drawn, what it was, and the cells that the engine would use. Loaded lazily.
import { cellShapes } from '@/shared/map/cells'
import { type Drawing, GeoJsonLayers } from '@/shared/map/Layers'
import { INK } from '@/shared/theme'
import PlaceMap, { type PlaceMapProps } from '../PlaceMap'
import { Draw, type Tool } from './Draw'
import type { Shape } from './shape'

interface Props extends PlaceMapProps {
  tool: Tool
  shape: Shape | null
  adding: boolean
  onShape: (shape: Shape) => void
  onDrawn: () => void
  cells: readonly string[]
}

const CELLS: readonly Drawing[] = [
  { id: 'own-cells-inside', type: 'fill', paint: { 'fill-color': INK.fresh, 'fill-opacity': 0.08 } },
  { id: 'own-cells-border', type: 'line', paint: { 'line-color': INK.fresh, 'line-width': 1, 'line-opacity': 0.7 } },
]

export default function DrawMap({ tool, shape, adding, onShape, onDrawn, cells, ...map }: Props) {
  return (
    <PlaceMap {...map}>
      <GeoJsonLayers id="own-cells" data={cellShapes(cells.map((cell) => ({ cell })))} drawings={CELLS} />
      <Draw tool={tool} shape={shape} adding={adding} onShape={onShape} onDrawn={onDrawn} />
    </PlaceMap>
  )
}

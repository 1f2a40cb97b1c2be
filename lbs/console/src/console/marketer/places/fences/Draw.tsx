// Drawing with the mouse or a finger, by terra-draw. What is drawn goes out as a shape, and the shape that comes in is what
// lies there: whoever holds it can take a step back.
import { useEffect, useRef } from 'react'
import {
  type GeoJSONStoreFeatures,
  TerraDraw,
  TerraDrawCircleMode,
  TerraDrawFreehandMode,
  TerraDrawPolygonMode,
  TerraDrawRectangleMode,
  TerraDrawSelectMode,
} from 'terra-draw'
import { TerraDrawMapLibreGLAdapter } from 'terra-draw-maplibre-gl-adapter'
import { useMap } from '@/shared/map/MapView'
import { INK } from '@/shared/theme'
import { circleOf, circleRing, isDrawable, roundedRing, type Shape } from './shape'

export type Tool = 'select' | 'polygon' | 'circle' | 'rectangle' | 'freehand'

interface Props {
  tool: Tool
  shape: Shape | null
  /** What is drawn becomes one more part of an area. */
  adding: boolean
  onShape: (shape: Shape) => void
  /** Something was drawn to its end. */
  onDrawn: () => void
}

const COLOURS = {
  fillColor: INK.offer,
  fillOpacity: 0.2,
  outlineColor: INK.offer,
  outlineWidth: 2,
} as const

/** Of a circle; divisible by 4, so that its middle is found again. */
const HANDLES = 32
const MOVES = { draggable: true } as const
const CORNERS = { midpoints: { draggable: true }, draggable: true, deletable: true } as const

function tools() {
  return [
    new TerraDrawPolygonMode({ styles: COLOURS }),
    new TerraDrawRectangleMode({ styles: COLOURS }),
    new TerraDrawFreehandMode({ styles: COLOURS, minDistance: 12 }),
    new TerraDrawCircleMode({ styles: COLOURS, projection: 'globe' }),
    new TerraDrawSelectMode({
      flags: {
        polygon: { feature: { ...MOVES, coordinates: CORNERS } },
        circle: { feature: { ...MOVES, coordinates: { resizable: 'center' } } },
      },
      styles: {
        selectedPolygonColor: INK.offer,
        selectedPolygonFillOpacity: 0.2,
        selectedPolygonOutlineColor: INK.offer,
        selectedPolygonOutlineWidth: 2,
        selectionPointColor: '#ffffff',
        selectionPointOutlineColor: INK.offer,
        selectionPointOutlineWidth: 2,
        selectionPointWidth: 4,
        midPointColor: INK.offer,
        midPointWidth: 3,
        midPointOutlineWidth: 1,
        midPointOutlineColor: '#ffffff',
      },
    }),
  ]
}

export function Draw({ tool, shape, adding, onShape, onDrawn }: Props) {
  const map = useMap()
  const drawing = useRef<TerraDraw | null>(null)
  const latest = useRef({ shape, adding, onShape, onDrawn })
  latest.current = { shape, adding, onShape, onDrawn }

  useEffect(() => {
    const draw = new TerraDraw({ adapter: new TerraDrawMapLibreGLAdapter({ map }), modes: tools() })
    draw.start()
    drawing.current = draw
    draw.on('finish', (id, { action }) => {
      const { shape, adding, onShape, onDrawn } = latest.current
      const feature = draw.getSnapshotFeature(id)
      if (feature === undefined) return
      if (action === 'draw') {
        onShape(drawn(feature, adding ? shape : null))
        onDrawn()
      } else {
        onShape(edited(draw.getSnapshot(), feature, shape, action))
      }
    })
    return () => {
      drawing.current = null
      draw.stop()
    }
  }, [map])

  // the shape that holds, with handles while nothing is being drawn
  useEffect(() => {
    const draw = drawing.current
    if (draw === null) return
    draw.setMode(tool)
    draw.clear()
    if (shape === null || !isDrawable(shape)) return
    const features = partsOf(shape, () => String(draw.getFeatureId()))
    const added = draw.addFeatures(features).filter((one) => one.valid)
    if (tool === 'select' && added[0]?.id !== undefined) draw.selectFeature(added[0].id)
  }, [map, tool, shape])
  return null
}

type Part = GeoJSONStoreFeatures
const ringOf = (part: Part) => (part.geometry.type === 'Polygon' ? roundedRing(part.geometry.coordinates[0] ?? []) : [])
const isPart = (part: Part) => part.geometry.type === 'Polygon'

function partsOf(shape: Shape, id: () => string): Part[] {
  const rings =
    shape.kind === 'circle'
      ? [circleRing(shape.center, shape.radiusM, HANDLES)]
      : shape.polygons.map((polygon) => polygon[0] ?? [])
  return rings.map((ring) => ({
    id: id(),
    type: 'Feature',
    properties: { mode: shape.kind === 'circle' ? 'circle' : 'polygon' },
    geometry: { type: 'Polygon', coordinates: [roundedRing(ring)] },
  }))
}

function drawn(feature: Part, before: Shape | null): Shape {
  if (feature.properties.mode === 'circle') return circleOf(ringOf(feature))
  const polygon = [ringOf(feature)]
  return { kind: 'area', polygons: before?.kind === 'area' ? [...before.polygons, polygon] : [polygon] }
}

function edited(all: readonly Part[], feature: Part, before: Shape | null, action: string): Shape {
  if (feature.properties.mode !== 'circle') {
    return { kind: 'area', polygons: all.filter(isPart).map((part) => [ringOf(part)]) }
  }
  const circle = circleOf(ringOf(feature))
  if (before?.kind !== 'circle') return circle
  // who moves it does not change how large it is, and the other way round
  return action === 'dragFeature' ? { ...before, center: circle.center } : { ...before, radiusM: circle.radiusM }
}

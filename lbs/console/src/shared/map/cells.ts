// H3 cells as shapes.
import type { Feature, FeatureCollection, Polygon } from 'geojson'
import { cellToBoundary } from 'h3-js'

/** The outline of each cell, with what goes with it as properties. Cells across the antimeridian go beyond 180 degrees. */
export function cellShapes<T extends { cell: string }>(cells: readonly T[]): FeatureCollection<Polygon, T> {
  return { type: 'FeatureCollection', features: cells.map(cellShape) }
}

function cellShape<T extends { cell: string }>(properties: T): Feature<Polygon, T> {
  const ring = cellToBoundary(properties.cell, true)
  const west = Math.min(...ring.map(([lng]) => lng))
  const whole = ring.map(([lng, lat]) => [lng - west > 180 ? lng - 360 : lng, lat])
  return { type: 'Feature', properties, geometry: { type: 'Polygon', coordinates: [whole] } }
}

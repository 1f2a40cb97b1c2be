// A fence's shape while it is edited: a circle, or polygons. Pure; what is typed and what is drawn end here.
import type { Feature, Geometry, MultiPolygon, Polygon, Position } from 'geojson'
import type { Schemas } from '@/shared/api/client'

export interface Place {
  lat: number
  lng: number
}
export type Shape = { kind: 'circle'; center: Place; radiusM: number } | { kind: 'area'; polygons: Position[][][] }
export type Bounds = [west: number, south: number, east: number, north: number]

const EARTH_M = 6_371_008.8
/** 1 cm: finer is never meant, and not drawn either. */
const DECIMALS = 7
const CORNERS = 64
export const MIN_RADIUS_M = 1
export const MAX_RADIUS_M = 100_000

const rounded = (degrees: number) => Number(degrees.toFixed(DECIMALS))
const radians = (degrees: number) => (degrees * Math.PI) / 180
const degrees = (angle: number) => (angle * 180) / Math.PI

/** As the API takes it. */
export function toBody(shape: Shape): Schemas['ShapeBody'] {
  if (shape.kind === 'circle') return { center: shape.center, radius_m: shape.radiusM }
  return { geometry: geometryOf(shape) as unknown as Record<string, unknown> }
}

/** Of what the API says of a fence: a circle is a Point with its radius. */
export function fromView(view: { geometry: Record<string, unknown>; radius_m: number | null }): Shape {
  const geometry = view.geometry as unknown as Geometry
  if (geometry.type === 'Point') {
    const [lng = 0, lat = 0] = geometry.coordinates
    return { kind: 'circle', center: { lat, lng }, radiusM: view.radius_m ?? 0 }
  }
  if (geometry.type === 'Polygon') return { kind: 'area', polygons: [geometry.coordinates] }
  if (geometry.type === 'MultiPolygon') return { kind: 'area', polygons: geometry.coordinates }
  throw new TypeError(`a fence is no ${geometry.type}`)
}

function geometryOf(shape: Extract<Shape, { kind: 'area' }>): Polygon | MultiPolygon {
  const [first] = shape.polygons
  return shape.polygons.length === 1 && first
    ? { type: 'Polygon', coordinates: first }
    : { type: 'MultiPolygon', coordinates: shape.polygons }
}

/** What to draw: a circle as the ring about it. */
export function outlineOf<P extends object>(shape: Shape, properties: P): Feature<Polygon | MultiPolygon, P> {
  const geometry =
    shape.kind === 'circle'
      ? ({ type: 'Polygon', coordinates: [circleRing(shape.center, shape.radiusM)] } as Polygon)
      : geometryOf(shape)
  return { type: 'Feature', properties, geometry }
}

/** A closed ring of points that lie so far from the centre, on a sphere. */
export function circleRing({ lat, lng }: Place, radiusM: number, corners = CORNERS): Position[] {
  const far = radiusM / EARTH_M
  const ring = Array.from({ length: corners }, (_, index) => {
    const bearing = (-2 * Math.PI * index) / corners
    const sinLat = Math.sin(radians(lat)) * Math.cos(far) + Math.cos(radians(lat)) * Math.sin(far) * Math.cos(bearing)
    const east = Math.atan2(
      Math.sin(bearing) * Math.sin(far) * Math.cos(radians(lat)),
      Math.cos(far) - Math.sin(radians(lat)) * sinLat,
    )
    return [rounded(lng + degrees(east)), rounded(degrees(Math.asin(sinLat)))]
  })
  return [...ring, ring[0] as Position]
}

/** The circle that a ring was drawn for: the middle of opposite points, and how far they are from it on average. */
export function circleOf(ring: readonly Position[]): Extract<Shape, { kind: 'circle' }> {
  const points = ring.slice(0, -1)
  const mean = (axis: 0 | 1) => {
    const values = points.map((point) => point[axis] as number)
    return (Math.min(...values) + Math.max(...values)) / 2
  }
  const center = { lat: rounded(mean(1)), lng: rounded(mean(0)) }
  const all = points.reduce((sum, [lng = 0, lat = 0]) => sum + distanceM(center, { lat, lng }), 0)
  return { kind: 'circle', center, radiusM: tidyRadius(all / points.length) }
}

/** To 10 cm, and within what the API takes. */
export function tidyRadius(radiusM: number): number {
  return Math.min(MAX_RADIUS_M, Math.max(MIN_RADIUS_M, Math.round(radiusM * 10) / 10))
}

export function distanceM(a: Place, b: Place): number {
  const half =
    Math.sin(radians(b.lat - a.lat) / 2) ** 2 +
    Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * Math.sin(radians(b.lng - a.lng) / 2) ** 2
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(half)))
}

export function roundedRing(ring: readonly Position[]): Position[] {
  return ring.map(([lng = 0, lat = 0]) => [rounded(lng), rounded(lat)])
}

/** The box about all of them; west > east where that is the shorter way round. */
export function boundsOf(shapes: readonly Shape[]): Bounds | null {
  const points = shapes.flatMap((shape) =>
    outlineOf(shape, {})
      .geometry.coordinates.flat(shape.kind === 'circle' || shape.polygons.length === 1 ? 1 : 2)
      .map((point) => point as Position),
  )
  if (points.length === 0) return null
  const lats = points.map(([, lat = 0]) => lat)
  const lngs = points.map(([lng = 0]) => lng)
  const wide = Math.max(...lngs) - Math.min(...lngs) > 180
  const turned = wide ? lngs.map((lng) => (lng < 0 ? lng + 360 : lng)) : lngs
  const back = (lng: number) => (lng > 180 ? lng - 360 : lng)
  return [back(Math.min(...turned)), Math.min(...lats), back(Math.max(...turned)), Math.max(...lats)]
}

/** Whether it can be edited by dragging: holes cannot. */
export function isDrawable(shape: Shape): boolean {
  return shape.kind === 'circle' || shape.polygons.every((rings) => rings.length === 1)
}

/** An area as text: a corner a line, an empty line between parts; GeoJSON if it has holes. */
export function toText(shape: Extract<Shape, { kind: 'area' }>): string {
  if (!isDrawable(shape)) return JSON.stringify(geometryOf(shape))
  return shape.polygons
    .map(([ring = []]) =>
      ring
        .slice(0, -1)
        .map(([lng, lat]) => `${lat}, ${lng}`)
        .join('\n'),
    )
    .join('\n\n')
}

export class UnreadableShape extends Error {
  constructor(
    readonly reason: 'line' | 'few' | 'geojson',
    /** What cannot be read. */
    readonly text: string,
  ) {
    super(`${reason}: ${text}`)
  }
}

/** UnreadableShape says which line is none. */
export function fromText(text: string): Extract<Shape, { kind: 'area' }> {
  const trimmed = text.trim()
  if (trimmed.startsWith('{')) return fromGeoJson(trimmed)
  const polygons = trimmed.split(/\n\s*\n/).map((part) => {
    const ring = part.split('\n').map((line) => {
      const found = /^\s*([+-]?\d+(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d+(?:\.\d+)?)\s*$/.exec(line)
      if (!found) throw new UnreadableShape('line', line.trim())
      return [Number(found[2]), Number(found[1])]
    })
    const [first, last] = [ring[0] as Position, ring[ring.length - 1] as Position]
    const open = first[0] === last[0] && first[1] === last[1] ? ring.slice(0, -1) : ring
    if (open.length < 3) throw new UnreadableShape('few', part)
    return [[...open, first]]
  })
  return { kind: 'area', polygons }
}

function fromGeoJson(text: string): Extract<Shape, { kind: 'area' }> {
  try {
    const given = JSON.parse(text)
    const shape = fromView({ geometry: given.type === 'Feature' ? given.geometry : given, radius_m: null })
    if (shape.kind === 'area' && Array.isArray(shape.polygons[0]?.[0]?.[0])) return shape
  } catch {
    // said below
  }
  throw new UnreadableShape('geojson', '')
}

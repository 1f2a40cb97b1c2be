import { describe, expect, it } from 'vitest'
import { begin, put, redo, undo } from './history'
import {
  boundsOf,
  circleOf,
  circleRing,
  distanceM,
  fromText,
  fromView,
  isDrawable,
  outlineOf,
  type Shape,
  toBody,
  toText,
  UnreadableShape,
} from './shape'

const HELSINKI = { lat: 60.17, lng: 24.94 }
const SQUARE = [
  [24.93, 60.16],
  [24.95, 60.16],
  [24.95, 60.17],
  [24.93, 60.17],
  [24.93, 60.16],
]
const AREA: Shape = { kind: 'area', polygons: [[SQUARE]] }

describe('circles', () => {
  it.each([1, 80, 5_000])('come back from their ring, %d m', (radiusM) => {
    const found = circleOf(circleRing(HELSINKI, radiusM))
    expect(distanceM(found.center, HELSINKI)).toBeLessThan(0.01 + radiusM / 1000)
    expect(Math.abs(found.radiusM - radiusM)).toBeLessThan(0.11 + radiusM / 1000)
  })
  it('are closed rings, counter-clockwise', () => {
    const ring = circleRing(HELSINKI, 100)
    expect(ring[0]).toEqual(ring.at(-1))
    const twice = ring.slice(1).reduce((sum, [x = 0, y = 0], index) => {
      const [px = 0, py = 0] = ring[index] ?? []
      return sum + (x - px) * (y + py)
    }, 0)
    expect(twice).toBeLessThan(0)
  })
  it('are a centre and a radius to the API', () => {
    const circle: Shape = { kind: 'circle', center: HELSINKI, radiusM: 80 }
    expect(toBody(circle)).toEqual({ center: HELSINKI, radius_m: 80 })
    expect(fromView({ geometry: { type: 'Point', coordinates: [24.94, 60.17] }, radius_m: 80 })).toEqual(circle)
  })
})

describe('areas', () => {
  it('come back from their text', () => {
    expect(fromText(toText(AREA))).toEqual(AREA)
    const two: Shape = { kind: 'area', polygons: [[SQUARE], [SQUARE.map(([x = 0, y = 0]) => [x + 1, y])]] }
    expect(fromText(toText(two))).toEqual(two)
    expect(outlineOf(two, {}).geometry.type).toBe('MultiPolygon')
  })
  it('with holes are GeoJSON, and not dragged', () => {
    const holed: Shape = { kind: 'area', polygons: [[SQUARE, SQUARE]] }
    expect(isDrawable(holed)).toBe(false)
    expect(fromText(toText(holed))).toEqual(holed)
  })
  it('take tabs, semicolons and a closing corner', () => {
    expect(fromText('60.16; 24.93\n60.16\t24.95\n60.17,24.95\n60.17 24.93\n60.16, 24.93\n')).toEqual(AREA)
  })
  it.each([
    ['60.1, 24.9\nnorth', 'line'],
    ['60.1, 24.9\n60.2, 24.9', 'few'],
    ['{"type": "Point"}', 'geojson'],
    ['{', 'geojson'],
  ])('say what cannot be read: %s', (text, reason) => {
    expect(() => fromText(text)).toThrow(UnreadableShape)
    expect(() => fromText(text)).toThrow(new RegExp(`^${reason}`))
  })
})

describe('bounds', () => {
  it('hold all shapes', () => {
    expect(boundsOf([AREA])).toEqual([24.93, 60.16, 24.95, 60.17])
    expect(boundsOf([])).toBeNull()
  })
  it('go the short way over 180 degrees', () => {
    const across: Shape = {
      kind: 'area',
      polygons: [[SQUARE.map(([x = 0, y = 0]) => [x + 150, y])], [SQUARE.map(([x = 0, y = 0]) => [x - 204, y])]],
    }
    expect(boundsOf([across])?.map((edge) => Math.round(edge * 100) / 100)).toEqual([174.93, 60.16, -179.05, 60.17])
  })
})

describe('history', () => {
  it('goes back and forth, and a change ends the forth', () => {
    const three = put(put(begin('a'), 'b'), 'c')
    expect(undo(undo(three)).now).toBe('a')
    expect(undo(undo(undo(three))).now).toBe('a')
    expect(redo(undo(three)).now).toBe('c')
    expect(redo(put(undo(three), 'd')).now).toBe('d')
  })
})

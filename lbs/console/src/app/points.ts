// Places as points of a map.
import type { FeatureCollection, Point } from 'geojson'

interface At {
  lat: number
  lng: number
}

export function pointsOf<T extends At & { store_id: string; name: string }>(
  places: readonly T[],
): FeatureCollection<Point> {
  return {
    type: 'FeatureCollection',
    features: places.map(({ lat, lng, store_id, name }) => ({
      type: 'Feature',
      properties: { store_id, name },
      geometry: { type: 'Point', coordinates: [lng, lat] },
    })),
  }
}

/** [west, south, east, north] round places; the shorter way round, so that it may cross the antimeridian. */
export function boundsOf(places: readonly At[]): [number, number, number, number] | null {
  const lngs = places.map(({ lng }) => lng).sort((a, b) => a - b)
  const lats = places.map(({ lat }) => lat)
  const [first] = lngs
  if (first === undefined) return null
  // the widest gap between neighbours lies outside of the box
  let [widest, west] = [-1, first]
  lngs.forEach((lng, at) => {
    const next = lngs[at + 1]
    const gap = next === undefined ? first + 360 - lng : next - lng
    if (gap > widest) [widest, west] = [gap, next ?? first]
  })
  const east = lngs[(lngs.indexOf(west) + lngs.length - 1) % lngs.length] ?? west
  return [west, Math.min(...lats), east, Math.max(...lats)]
}

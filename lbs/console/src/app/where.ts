// Where one looks from: where the phone is, or a place that was chosen, of which only a cell is told.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef } from 'react'
import { metres } from './positions'
import type { Origin } from './offers'
import { usePlace } from './Place'

export interface Chosen {
  name: string
  /** Of H3, some 350 m across: says enough for a search, and not who is where. */
  cell: string
  lat: number
  lng: number
}

const KEPT = 'lbs.place'
const QUERY = ['chosen place'] as const
const RESOLUTION = 9
/** A search is asked again after so much walking. */
const MOVED_M = 40

function kept(): Chosen | null {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Chosen | null
  } catch {
    return null
  }
}

export function useChosen() {
  const queries = useQueryClient()
  const { data } = useQuery({ queryKey: QUERY, queryFn: kept, initialData: kept, staleTime: Infinity })
  const set = (place: Chosen | null) => {
    localStorage.setItem(KEPT, JSON.stringify(place))
    queries.setQueryData(QUERY, place)
  }
  return { chosen: data, set }
}

/** The library of cells is large: loaded when a place is chosen. */
export async function cellAt(at: { lat: number; lng: number }): Promise<string> {
  const { latLngToCell } = await import('h3-js')
  return latLngToCell(at.lat, at.lng, RESOLUTION)
}

export function useOrigin(): { origin: Origin | null; at: { lat: number; lng: number } | null; chosen: Chosen | null } {
  const { chosen } = useChosen()
  const { here } = usePlace()
  const last = useRef<{ lat: number; lng: number } | null>(null)
  if (chosen) return { origin: { cell: chosen.cell }, at: chosen, chosen }
  if (!here) return { origin: null, at: null, chosen: null }
  if (last.current === null || metres(last.current, here) > MOVED_M) {
    last.current = { lat: Number(here.lat.toFixed(5)), lng: Number(here.lng.toFixed(5)) }
  }
  return { origin: last.current, at: last.current, chosen: null }
}

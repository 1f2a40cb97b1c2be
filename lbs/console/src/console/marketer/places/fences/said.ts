import type { Place } from './shape'

/** What the API says of a geometry, as something that we have words for; else null. */
export type Said = { kind: 'crosses'; at: Place } | { kind: 'seam' | 'pole' | 'merged' | 'no_area' | 'holes' }

export function understood(message: string): Said | null {
  const at = /at lat (-?[\d.]+), lng (-?[\d.]+)/.exec(message)
  if (at && /intersect|cross/i.test(message)) return { kind: 'crosses', at: { lat: Number(at[1]), lng: Number(at[2]) } }
  if (message.includes('across 180 degrees')) return { kind: 'seam' }
  if (message.includes('goes round the earth;')) return { kind: 'pole' }
  if (message.includes('merged into one')) return { kind: 'merged' }
  if (message.includes('no area')) return { kind: 'no_area' }
  if (message.includes('holes overlap')) return { kind: 'holes' }
  return null
}

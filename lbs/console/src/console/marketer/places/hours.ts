// Opening hours read back: stretches of being open, out of the moments at which that changes.
export interface Stretch {
  /** Null: since before now. */
  from: string | null
  /** Null: beyond what was asked. */
  to: string | null
}

export function stretches(
  openNow: boolean | null,
  changes: readonly { at: string; open: boolean | null }[],
): Stretch[] {
  const found: Stretch[] = []
  let from: string | null | undefined = openNow ? null : undefined
  for (const { at, open } of changes) {
    if (open && from === undefined) from = at
    if (!open && from !== undefined) {
      found.push({ from, to: at })
      from = undefined
    }
  }
  if (from !== undefined) found.push({ from, to: null })
  return found
}

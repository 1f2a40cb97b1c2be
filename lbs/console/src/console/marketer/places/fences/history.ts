// Undo and redo of one value.
import { useCallback, useMemo, useState } from 'react'

export interface History<T> {
  past: readonly T[]
  now: T
  future: readonly T[]
}

const MOST = 200

export const begin = <T>(now: T): History<T> => ({ past: [], now, future: [] })
export const put = <T>({ past, now }: History<T>, next: T): History<T> => ({
  past: [...past, now].slice(-MOST),
  now: next,
  future: [],
})
export function undo<T>({ past, now, future }: History<T>): History<T> {
  const before = past.at(-1)
  return before === undefined
    ? { past, now, future }
    : { past: past.slice(0, -1), now: before, future: [now, ...future] }
}
export function redo<T>({ past, now, future }: History<T>): History<T> {
  const [after, ...rest] = future
  return after === undefined ? { past, now, future } : { past: [...past, now], now: after, future: rest }
}

/** `T` may be null, not undefined. */
export function useHistory<T>(first: T) {
  const [history, set] = useState(() => begin(first))
  const change = useCallback((next: T) => set((before) => put(before, next)), [])
  return useMemo(
    () => ({
      now: history.now,
      set: change,
      undo: history.past.length > 0 ? () => set(undo) : null,
      redo: history.future.length > 0 ? () => set(redo) : null,
    }),
    [history, change],
  )
}

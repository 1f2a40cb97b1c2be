// Whether the API can be reached. A browser that says it is online may know no more than that a cable is in.
import { useSyncExternalStore } from 'react'

let reached = true
const listeners = new Set<() => void>()

/** What the last request came to. */
export function noteReach(now: boolean) {
  if (now === reached) return
  reached = now
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  window.addEventListener('online', listener)
  window.addEventListener('offline', listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('online', listener)
    window.removeEventListener('offline', listener)
  }
}

export function useReach(): boolean {
  return useSyncExternalStore(subscribe, () => reached && navigator.onLine)
}

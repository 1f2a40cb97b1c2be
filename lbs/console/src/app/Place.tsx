// Where this phone is, and telling the API about it while the app is open and nobody has paused it.
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react'
import { useDevice } from './device'
import { useConsents } from './consents'
import { PositionQueue, positionOf, positionSender } from './positions'

export type Locating = 'off' | 'paused' | 'asking' | 'on' | 'denied' | 'unavailable'

export interface Here {
  lat: number
  lng: number
  accuracyM: number
  at: number
}

interface Located {
  state: Locating
  here: Here | null
  /** Positions that wait for the network. */
  waiting: number
  pause: (paused: boolean) => void
}

const Context = createContext<Located | null>(null)
const PAUSED = 'lbs.paused'
const FLUSH_MS = 5_000
/** A phone that lies still tells nothing by itself; a visit ends if nothing is told for too long. */
const REMIND_MS = 60_000
const OPTIONS: PositionOptions = { enableHighAccuracy: true, maximumAge: 5_000, timeout: 30_000 }

export function usePlace(): Located {
  const located = useContext(Context)
  if (located === null) throw new Error('usePlace outside of Locates')
  return located
}

export function Locates({ children }: { children: ReactNode }) {
  const device = useDevice()
  const consented = useConsents().data?.location ?? false
  const [paused, setPaused] = useState(() => localStorage.getItem(PAUSED) === 'yes')
  const [fix, setFix] = useState<{ state: 'asking' | 'on' | 'denied' | 'unavailable'; here: Here | null }>({
    state: 'asking',
    here: null,
  })
  const [waiting, setWaiting] = useState(0)
  const queue = useMemo(() => new PositionQueue(positionSender(device)), [device])
  const reporting = consented && !paused
  const last = useRef(0)

  useEffect(() => {
    if (!reporting) {
      queue.clear()
      return
    }
    const flush = async (urgent = false) => {
      await queue.flush(urgent)
      setWaiting(queue.length)
    }
    const found = (position: GeolocationPosition) => {
      const one = positionOf(position)
      last.current = Date.now()
      setFix({ state: 'on', here: { ...one, accuracyM: one.accuracy_m ?? 0, at: position.timestamp } })
      if (queue.add(one)) void flush()
    }
    const failed = (error: GeolocationPositionError) => {
      // what was known a moment ago stays known
      if (error.code === error.PERMISSION_DENIED) setFix({ state: 'denied', here: null })
      else setFix(({ here }) => ({ state: here ? 'on' : 'unavailable', here }))
    }
    const remind = () => {
      void flush()
      if (Date.now() - last.current < REMIND_MS || document.visibilityState === 'hidden') return
      last.current = Date.now()
      navigator.geolocation.getCurrentPosition(found, failed, { ...OPTIONS, maximumAge: 0 })
    }
    const watch = navigator.geolocation.watchPosition(found, failed, OPTIONS)
    const timer = setInterval(remind, FLUSH_MS)
    const now = () => void flush(true)
    window.addEventListener('online', now)
    return () => {
      navigator.geolocation.clearWatch(watch)
      clearInterval(timer)
      window.removeEventListener('online', now)
    }
  }, [reporting, queue])

  const pause = useCallback((wanted: boolean) => {
    localStorage.setItem(PAUSED, wanted ? 'yes' : 'no')
    setPaused(wanted)
  }, [])
  const state: Locating = !consented ? 'off' : paused ? 'paused' : fix.state
  const here = consented ? fix.here : null
  const located = useMemo(() => ({ state, here, waiting, pause }), [state, here, waiting, pause])
  return <Context.Provider value={located}>{children}</Context.Provider>
}

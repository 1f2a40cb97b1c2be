// Who is signed in, and what that person may do.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect } from 'react'
import { api, body, lookAfter, Problem, type Schemas } from '@/shared/api/client'
import { Asked } from '@/shared/ui/Asked'

export type Session = Schemas['SessionView']

const KEY = ['session']
const Signed = createContext<Session | null>(null)

/** The session of the page; only inside `SignedIn`. */
export function useSession(): Session {
  const session = useContext(Signed)
  if (session === null) throw new Error('useSession outside of SignedIn')
  return session
}

/** Whether the person may ask for an operation of the API, by its operationId. */
export function useMay(): (operation: string) => boolean {
  const { may } = useSession()
  return (operation) => may.includes(operation)
}

async function whoAmI(): Promise<Session | null> {
  try {
    return await body(api.GET('/v1/sessions'))
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null
    throw error
  }
}

export function SignedIn({ children, otherwise }: { children: ReactNode; otherwise: ReactNode }) {
  const query = useQuery({ queryKey: KEY, queryFn: whoAmI, staleTime: 60_000 })
  const client = useQueryClient()
  useEffect(() => {
    // a session that ended shows itself as a 401 of any question
    return client.getQueryCache().subscribe((event) => {
      if (event.type !== 'updated' || event.action.type !== 'error') return
      const { error } = event.action
      if (error instanceof Problem && error.status === 401 && event.query.queryKey[0] !== KEY[0]) {
        client.setQueryData(KEY, null)
      }
    })
  }, [client])
  return (
    <Asked query={query}>
      {(session) => (session === null ? otherwise : <Signed.Provider value={session}>{children}</Signed.Provider>)}
    </Asked>
  )
}

export function useSignOut() {
  const client = useQueryClient()
  return async () => {
    await api.DELETE('/v1/sessions').catch(() => undefined)
    lookAfter(null)
    client.clear()
    client.setQueryData(KEY, null)
  }
}

export function useArrive() {
  const client = useQueryClient()
  return (session: Session) => {
    lookAfter(null)
    client.setQueryData(KEY, session)
  }
}

// State that somebody may want to share lives in the URL.
import { useCallback } from 'react'
import { useSearchParams } from 'react-router'

export function useQueryParams() {
  const [asked, setAsked] = useSearchParams()
  const ask = useCallback(
    (changed: Record<string, string | null>) =>
      setAsked(
        (before) => {
          for (const [name, value] of Object.entries(changed)) {
            if (value) before.set(name, value)
            else before.delete(name)
          }
          return before
        },
        { replace: true },
      ),
    [setAsked],
  )
  return { asked, ask }
}

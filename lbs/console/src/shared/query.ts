import { QueryClient } from '@tanstack/react-query'
import { Problem } from './api/client'

/** What is shown is at most this old when somebody comes back to it. */
const FRESH_MS = 10_000

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: FRESH_MS,
      // what the API refused it will refuse again
      retry: (count, error) => count < 2 && !(error instanceof Problem && error.status >= 400 && error.status < 500),
    },
  },
})

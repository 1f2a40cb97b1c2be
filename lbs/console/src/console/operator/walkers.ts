// The simulated people of `lbs demo`; nobody where none runs. No real phone is ever among them.
import { useQuery } from '@tanstack/react-query'
import { api, body } from '@/shared/api/client'

const EVERY_MS = 1_000
const LOOK_MS = 30_000

const ask = () => body(api.GET('/v1/demo/walkers'))

export function useWalkers() {
  return useQuery({ queryKey: ['walkers'], queryFn: ask, refetchInterval: EVERY_MS })
}

export function useAnyWalkers(): boolean {
  const { data } = useQuery({
    queryKey: ['walkers', 'any'],
    queryFn: ask,
    refetchInterval: LOOK_MS,
    staleTime: LOOK_MS,
  })
  return (data?.items.length ?? 0) > 0
}

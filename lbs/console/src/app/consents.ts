// What the person agreed to, as the API has it.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { body, type Schemas } from '@/shared/api/client'
import { type Consents, consentsOf, type Purpose, useApi, useDevice } from './device'

type View = Schemas['DeviceView']

export const DEVICE = ['device'] as const

const granted = (view: View): Consents => {
  const of = (purpose: Purpose) => view.consents.some((one) => one.purpose === purpose && one.granted)
  return { location: of('location'), push: of('push'), analytics: of('analytics') }
}

export function useConsents() {
  const api = useApi()
  const { id } = useDevice()
  return useQuery({
    queryKey: DEVICE,
    queryFn: () => body(api.GET('/v1/devices/{device_id}', { params: { path: { device_id: id } } })),
    staleTime: 60_000,
    select: granted,
  })
}

export function useChangeDevice() {
  const api = useApi()
  const { id } = useDevice()
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (change: Schemas['DeviceChange']) =>
      body(api.PATCH('/v1/devices/{device_id}', { params: { path: { device_id: id } }, body: change })),
    onSuccess: (view) => queries.setQueryData(DEVICE, view),
  })
}

export function useConsent() {
  const change = useChangeDevice()
  return {
    ...change,
    give: (given: Partial<Consents>) => change.mutateAsync({ consents: consentsOf(given) }),
  }
}

import { useQuery } from '@tanstack/react-query'
import { api, body, everything, type Schemas } from '@/shared/api/client'
import { useMay } from '../../session'

export type Person = Schemas['UserView']
export type Role = Person['role']

export const ROLES = ['marketer', 'approver', 'store_manager', 'analyst', 'operator'] as const satisfies readonly Role[]
export const PEOPLE = ['people']

export function usePeople() {
  const may = useMay()
  return useQuery({
    queryKey: PEOPLE,
    queryFn: () =>
      everything((cursor) =>
        body(api.GET('/v1/users', { params: { query: { limit: 1000, ...(cursor ? { cursor } : {}) } } })),
      ),
    enabled: may('list_users'),
  })
}

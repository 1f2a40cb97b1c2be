// The steps of a redemption, and the requests between them.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api, body, Problem, type Schemas } from '@/shared/api/client'
import type { Store } from '../stores'

export type Preparation = Schemas['Preparation']
export type Redemption = Schemas['RedemptionView']

export type Step =
  | { at: 'ask' }
  | { at: 'prepared'; code: string; preparation: Preparation }
  | { at: 'refused'; code: string; error: unknown }
  | { at: 'done'; code: string; preparation: Preparation; made: Redemption }

const REPEATS = 5
const REPEAT_MS = 5_000

/** No answer says nothing about what happened: only the same request again does. */
const UNKNOWN = {
  networkMode: 'always' as const,
  retry: (count: number, error: Error) => count < REPEATS && isUnknown(error),
  retryDelay: REPEAT_MS,
}

export function isUnknown(error: unknown): boolean {
  return error instanceof Problem && (error.status === 0 || error.status >= 500)
}

export const statementKey = (store: Store) => ['statement', store.store_id]

export function usePrepare(store: Store, go: (step: Step) => void) {
  return useMutation({
    networkMode: 'always',
    mutationFn: (code: string) =>
      body(api.POST('/v1/redemptions/prepare', { body: { code, store_id: store.store_id } })),
    onSuccess: (preparation, code) => go({ at: 'prepared', code, preparation }),
    onError: (error, code) => go({ at: 'refused', code, error }),
  })
}

export interface Order {
  order_id?: string
  amount?: string
  currency?: string
}

export function useVerify(store: Store, step: Step & { at: 'prepared' }, go: (step: Step) => void) {
  const client = useQueryClient()
  return useMutation({
    ...UNKNOWN,
    mutationFn: (order: Order) =>
      body(
        api.POST('/v1/redemptions/verify', {
          body: { prepare_token: step.preparation.prepare_token, store_id: store.store_id, ...order },
        }),
      ),
    onSuccess: (made) => go({ ...step, at: 'done', made }),
    onError: (error) => {
      if (!isUnknown(error) && !isAboutOrder(error)) go({ at: 'refused', code: step.code, error })
    },
    onSettled: () => client.invalidateQueries({ queryKey: statementKey(store) }),
  })
}

/** What can be mended in the form, with the code as it was. */
export function isAboutOrder(error: unknown): boolean {
  if (!(error instanceof Problem)) return false
  return error.status === 422 || ['min_spend', 'amount_needed', 'currency'].includes(error.reason ?? '')
}

export function useCancel(store: Store) {
  const client = useQueryClient()
  return useMutation({
    ...UNKNOWN,
    mutationFn: ({ redemptionId, reason }: { redemptionId: string; reason: string }) =>
      body(
        api.POST('/v1/redemptions/cancel', {
          body: { redemption_id: redemptionId, store_id: store.store_id, ...(reason ? { reason } : {}) },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: statementKey(store) }),
  })
}

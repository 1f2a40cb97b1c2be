// What this person claimed.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { body, problemOf, type Schemas } from '@/shared/api/client'
import { useApi, useDevice } from './device'
import { svgUrl } from './code'
import { keep } from './keep'

export type Claim = Schemas['ClaimView']
export const CLAIMS = ['claims'] as const
/** A till redeems while the code is shown: so soon that is seen. */
const WATCH_MS = 2_000

export function useClaims() {
  const api = useApi()
  const { id } = useDevice()
  return useInfiniteQuery({
    queryKey: CLAIMS,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      body(api.GET('/v1/claims', { params: { query: { device_id: id, limit: 50, cursor: pageParam ?? null } } })),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  })
}

/** One claim. It is kept here too: a shop may have no network. */
export function useClaim(claimId: string) {
  const api = useApi()
  return useQuery({
    queryKey: [...CLAIMS, claimId],
    networkMode: 'always',
    queryFn: async () => {
      const kept = (await keep.get('claims')) ?? {}
      try {
        const claim = await body(api.GET('/v1/claims/{claim_id}', { params: { path: { claim_id: claimId } } }))
        await keep.set('claims', { ...live(kept), [claimId]: { ...kept[claimId], claim } })
        return claim
      } catch (error) {
        const known = kept[claimId]?.claim
        if (known && !navigator.onLine) return known
        throw error
      }
    },
    refetchInterval: ({ state }) => (state.data?.state === 'claimed' ? WATCH_MS : false),
  })
}

/** The code as a picture, an address for an `img`. */
export function useQr(claim: Claim) {
  const { token } = useDevice()
  return useQuery({
    queryKey: ['qr', claim.claim_id],
    networkMode: 'always',
    enabled: claim.code !== null,
    staleTime: Infinity,
    queryFn: async () => {
      const kept = (await keep.get('claims')) ?? {}
      const known = kept[claim.claim_id]
      if (known?.qr) return known.qr
      const response = await fetch(`/v1/claims/${claim.claim_id}/qr.svg`, {
        headers: { Authorization: `Bearer ${token}` },
        credentials: 'omit',
      })
      if (!response.ok) throw await problemOf(response)
      const qr = svgUrl(await response.text())
      await keep.set('claims', { ...kept, [claim.claim_id]: { claim, qr } })
      return qr
    },
  })
}

const live = <T extends { claim: Claim }>(kept: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(kept).filter(([, { claim }]) => Date.parse(claim.expires_at) > Date.now()))

/** The time, each second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [])
  return now
}

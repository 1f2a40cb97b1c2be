import type { Schemas } from '@/shared/api/client'

/** Whether a campaign runs at a store: it names the store, or a fence of it, or nothing. */
export function runsAt(
  campaign: Pick<Schemas['CampaignView'], 'stores' | 'fences'>,
  storeId: string,
  fenceIds: ReadonlySet<string>,
): boolean {
  const stores = campaign.stores ?? []
  const fences = campaign.fences ?? []
  if (stores.length === 0 && fences.length === 0) return true
  return stores.includes(storeId) || fences.some((fence) => fenceIds.has(fence))
}

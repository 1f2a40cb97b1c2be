// A campaign as its form holds it: the API's own shape, so that the API's words on a field find their field.
import type { Schemas } from '@/shared/api/client'

export type CampaignView = Schemas['CampaignView']
export type Status = Schemas['CampaignStatus']
export type Trigger = Schemas['CampaignDefinition']['trigger']
export type Offer = Schemas['Offer']
export type Cap = Schemas['Cap']
export type Creative = Schemas['Creative']
export type Weekday = Schemas['Weekday']
export type StoreView = Schemas['StoreView']
export type FenceView = Schemas['FenceView']
export type Windows = Schemas['offers__definition__Windows']

export const WEEKDAYS: readonly Weekday[] = ['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su']
export const WORKING_DAYS: readonly Weekday[] = WEEKDAYS.slice(0, 5)
export const DAY_S = 86_400
export const HOUR_S = 3_600
export const MINUTE_S = 60

/** A rule of an audience: a group of rules, or an attribute with one comparison. */
export interface Rule {
  all?: Rule[]
  any?: Rule[]
  not?: Rule
  attribute?: string
  is?: Scalar
  one_of?: Scalar[]
  has?: Scalar
  starts_with?: string
  exists?: boolean
  at_least?: number
  at_most?: number
  above?: number
  below?: number
}
export type Scalar = string | number | boolean

/** What the form edits. A number field that was emptied holds '' until it is sent. */
export type Draft = Omit<Schemas['CampaignDefinition'], 'audience' | 'windows'> & {
  audience: Rule | null
  windows: Windows
}

export function blank(): Draft {
  return {
    name: '',
    brand: null,
    fences: [],
    stores: [],
    trigger: { type: 'enter', already_inside: true, min_dwell_s: 0 },
    windows: {
      first_day: null,
      last_day: null,
      weekly: [],
      recurring: [],
      blackout_days: [],
      only_while_open: false,
    },
    offer: {
      kind: 'percentage',
      value: 10,
      currency: null,
      min_spend: null,
      terms: null,
      image_url: null,
      deep_link: null,
      valid_after_claim_s: null,
      max_cost: null,
    },
    creatives: [{ locale: 'en', title: '', body: '' }],
    audience: null,
    caps: [{ per: 'campaign', count: 1, window_s: DAY_S, days: null }],
    cool_down_s: 0,
    quiet_hours: { times: null, policy: 'defer' },
    priority: 0,
    stacking: 'combinable',
    holdout_share: 0,
    stock: null,
    new_device_stock_share: null,
    budget: null,
    send_rate_per_min: null,
    reservation_ttl_s: HOUR_S,
    staleness_s: 900,
    min_confidence: 0,
    redemption: { presence_radius_m: null, presence_within_s: 900 },
    attribution_s: DAY_S,
  }
}

/** What somebody may edit of a stored campaign. */
export function draftOf(view: CampaignView): Draft {
  const known = blank()
  const kept = Object.keys(known).map((key) => [key, view[key as keyof CampaignView]])
  const draft = { ...known, ...Object.fromEntries(kept.filter(([, value]) => value !== undefined)) } as Draft
  return structuredClone(draft)
}

/** Texts that may be empty; everywhere else an emptied field says nothing. */
const TEXTS = new Set(['name', 'title', 'body', 'locale', 'is', 'attribute', 'has', 'starts_with', 'rule'])

/** The draft as the API takes it: fields that were emptied say nothing. */
export function cleaned(draft: Draft): Schemas['CampaignDefinition'] {
  return empty(draft, '') as Schemas['CampaignDefinition']
}

function empty(value: unknown, key: string): unknown {
  if (value === '') return TEXTS.has(key) ? '' : null
  if (Array.isArray(value)) return value.map((one) => empty(one, key))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, empty(one, name)]))
}

/** Where a rule about a whole part shows in the form. */
const PARTS: Record<string, string> = {
  offer: 'offer.value',
  windows: 'windows.last_day',
  trigger: 'trigger.min_dwell_s',
}

/** `body.creatives[0].title` of the API as the form's `creatives.0.title`. */
export function fieldOf(where: string): string {
  const field = where
    .replace(/^body\.?/, '')
    .replace(/^trigger\.(enter|already_inside|dwell|exit|crossed|scheduled)/, 'trigger')
    .replace(/\[(\d+)\]/g, '.$1')
  return PARTS[field] ?? field
}

/** Who wrote the newest version and who submitted it last: neither may approve it. */
export function authors(history: Schemas['History']): readonly string[] {
  const submit = history.moves.findLast((one) => one.move === 'submit')
  return [history.versions.at(-1)?.created_by, submit?.actor].filter((actor) => actor !== undefined)
}

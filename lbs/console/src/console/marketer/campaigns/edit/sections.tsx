// The sections of the editor, in their order, and which fields of a campaign each holds. Each is loaded when it is opened.
import { type ComponentType, lazy } from 'react'
import { type SectionProps } from './fields'

const Basics = lazy(() => import('./Basics').then((found) => ({ default: found.Basics })))
const Where = lazy(() => import('./Where').then((found) => ({ default: found.Where })))
const TriggerSection = lazy(() => import('./TriggerSection').then((found) => ({ default: found.TriggerSection })))
const OfferSection = lazy(() => import('./OfferSection').then((found) => ({ default: found.OfferSection })))
const Creatives = lazy(() => import('./Creatives').then((found) => ({ default: found.Creatives })))
const Schedule = lazy(() => import('./Schedule').then((found) => ({ default: found.Schedule })))
const Audience = lazy(() => import('./Audience').then((found) => ({ default: found.Audience })))
const Limits = lazy(() => import('./Limits').then((found) => ({ default: found.Limits })))
const Delivery = lazy(() => import('./Delivery').then((found) => ({ default: found.Delivery })))

interface Section {
  name: string
  fields: readonly string[]
  View: ComponentType<SectionProps & { onLook: (index: number) => void }>
}

export const SECTIONS: readonly Section[] = [
  { name: 'basics', fields: ['name', 'brand'], View: Basics },
  { name: 'where', fields: ['stores', 'fences'], View: Where },
  { name: 'trigger', fields: ['trigger'], View: TriggerSection },
  { name: 'offer', fields: ['offer'], View: OfferSection },
  { name: 'words', fields: ['creatives'], View: Creatives },
  { name: 'schedule', fields: ['windows'], View: Schedule },
  { name: 'audience', fields: ['audience'], View: Audience },
  {
    name: 'limits',
    fields: ['caps', 'cool_down_s', 'stock', 'new_device_stock_share', 'budget', 'holdout_share'],
    View: Limits,
  },
  {
    name: 'delivery',
    fields: [
      'quiet_hours',
      'priority',
      'stacking',
      'send_rate_per_min',
      'reservation_ttl_s',
      'staleness_s',
      'min_confidence',
      'redemption',
      'attribution_s',
    ],
    View: Delivery,
  },
]

export function sectionOf(field: string): string {
  const first = field.split('.')[0] ?? ''
  return SECTIONS.find(({ fields }) => fields.includes(first))?.name ?? 'basics'
}

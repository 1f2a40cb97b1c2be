// Gates in words: what each saw, and what it lets through.
import { type Schemas } from '@/shared/api/client'
import { type Speech } from '../words'

type GateView = Schemas['GateView']

/** In the order in which they are asked. */
export const GATES = [
  'consent',
  'reachable',
  'staleness',
  'confidence',
  'already_inside',
  'dwell',
  'audience',
  'window',
  'open',
  'quiet_hours',
  'stacking',
  'cool_down',
  'cap',
  'holdout',
  'stock',
  'budget',
] as const satisfies readonly Schemas['Gate'][]

export const gateTitle = ({ t }: Pick<Speech, 't'>, gate: string) => t(`gate.${gate}.title`)

/** Why a gate let nothing through, in a few words. */
export const gateWhy = ({ t }: Pick<Speech, 't'>, gate: string) => t(`gate_why.${gate}`)

/** What a gate saw and wanted, e.g. `38 s late; at most 15 min are allowed`. */
export function gateInWords(speech: Speech, { gate, passed, value, threshold }: GateView, zone: string): string {
  const { t, f } = speech
  const said = (values: Record<string, unknown>) => t(`gate.${gate}.${passed ? 'passed' : 'failed'}`, values)
  switch (gate) {
    case 'staleness':
    case 'dwell':
      return said({ value: f.duration(Number(value)), threshold: f.duration(Number(threshold)) })
    case 'confidence':
    case 'holdout':
      return said({ value: f.share(Number(value)), threshold: f.share(Number(threshold)) })
    case 'window':
    case 'open':
      return t(`window_reason.${String(value)}`)
    case 'quiet_hours':
      return said({
        until: value === null ? '–' : f.dateTime(String(value), zone),
        policy: t(`edit.quiet.policies.${String(threshold)}`),
      })
    case 'cool_down':
      if (value === null) return t('gate.cool_down.never')
      return said({ value: f.duration(Number(value)), threshold: f.duration(Number(threshold)) })
    case 'cap': {
      const used = value as number[]
      const most = threshold as number[]
      return said({
        counts: used.map((n, index) => t('used.of', { used: n, most: most[index] })).join(t('words.comma')),
      })
    }
    case 'budget': {
      const { scope, left } = value as { scope: string; left: string }
      return said({
        left: f.number(Number(left)),
        cost: f.number(Number(threshold)),
        scope: t(`gate.scope.${scope.split(':')[0]}`),
      })
    }
    case 'stacking':
      return said({ value: Number(value), threshold: t(`edit.more.stackings.${String(threshold)}`) })
    default:
      return said({ value: Number(value), threshold: Number(threshold) })
  }
}

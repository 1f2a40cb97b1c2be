import type { Schemas } from '@/shared/api/client'

/** What the interval allows to say: `more`, `less`, `unknown` (it holds zero) or `few` (there is none yet). */
export function verdict({
  low,
  high,
}: Pick<Schemas['EffectView'], 'low' | 'high'>): 'more' | 'less' | 'unknown' | 'few' {
  if (low === null || high === null) return 'few'
  if (low > 0) return 'more'
  return high < 0 ? 'less' : 'unknown'
}

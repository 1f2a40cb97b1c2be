// What the builder of an audience does with a rule. The API reads the same rules.
import type { Rule, Scalar } from './model'

export const COMPARISONS = [
  'is',
  'one_of',
  'has',
  'starts_with',
  'at_least',
  'at_most',
  'above',
  'below',
  'exists',
] as const
export type Comparison = (typeof COMPARISONS)[number]
export type Group = 'all' | 'any'
export const MAX_DEPTH = 8

export const NEW_LEAF: Rule = { attribute: '', is: '' }

export const groupOf = (rule: Rule): Group | null => (rule.all ? 'all' : rule.any ? 'any' : null)

export function comparisonOf(rule: Rule): Comparison {
  return COMPARISONS.find((name) => rule[name] !== undefined) ?? 'is'
}

/** The value that a comparison begins with, kept from the last one where that makes sense. */
export function compared(rule: Rule, comparison: Comparison): Rule {
  const before = rule[comparisonOf(rule)]
  const one = Array.isArray(before) ? (before[0] ?? '') : (before ?? '')
  const attribute = rule.attribute ?? ''
  switch (comparison) {
    case 'is':
    case 'has':
      return { attribute, [comparison]: one }
    case 'one_of':
      return { attribute, one_of: one === '' || typeof one === 'boolean' ? [] : [one] }
    case 'starts_with':
      return { attribute, starts_with: typeof one === 'boolean' ? '' : String(one) }
    case 'exists':
      return { attribute, exists: true }
    default:
      return { attribute, [comparison]: typeof one === 'number' ? one : Number(one) || 0 }
  }
}

export type ValueType = 'text' | 'number' | 'yes_no'
export const typeOf = (value: Scalar): ValueType =>
  typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'yes_no' : 'text'

/** A value as another type, as near as it comes. */
export function retyped(value: Scalar, type: ValueType): Scalar {
  if (type === 'number') return Number(value) || 0
  if (type === 'yes_no') return value === true || value === 'true'
  return typeof value === 'string' ? value : String(value)
}

/** Text as a rule; a message if it is none that we know how to show. */
export function readJson(text: string): Rule | null | Error {
  if (text.trim() === '') return null
  try {
    const rule: unknown = JSON.parse(text)
    if (rule === null) return null
    if (isRule(rule)) return rule
    return new Error('shape')
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function isRule(value: unknown): value is Rule {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false
  const rule = value as Record<string, unknown>
  const said = Object.keys(rule)
  if (said.length === 1 && (said[0] === 'all' || said[0] === 'any')) {
    const parts = rule[said[0]]
    return Array.isArray(parts) && parts.length > 0 && parts.every(isRule)
  }
  if (said.length === 1 && said[0] === 'not') return isRule(rule.not)
  const [comparison, ...more] = said.filter((name) => name !== 'attribute')
  return (
    typeof rule.attribute === 'string' &&
    more.length === 0 &&
    COMPARISONS.some((name) => name === comparison) &&
    isValue(rule, comparison as Comparison)
  )
}

function isValue(rule: Record<string, unknown>, comparison: Comparison): boolean {
  const value = rule[comparison]
  const scalar = (one: unknown) => ['string', 'number', 'boolean'].includes(typeof one)
  switch (comparison) {
    case 'is':
    case 'has':
      return scalar(value)
    case 'one_of':
      return Array.isArray(value) && value.every(scalar)
    case 'starts_with':
      return typeof value === 'string'
    case 'exists':
      return typeof value === 'boolean'
    default:
      return typeof value === 'number'
  }
}

import { Problem } from '@/shared/api/client'

/** What the API says about fields of a form, by the field's name; the rest is told below the form. */
export function faultsOf(error: unknown): Record<string, string> {
  if (!(error instanceof Problem)) return {}
  return Object.fromEntries(
    error.errors.map(({ where, message }) => [where.replace(/^body\./, '').replace(/[.[].*$/, ''), message]),
  )
}

import { Problem } from '@/shared/api/client'

/** What the API says of single fields of a body, by their names. */
export function faultsOf(error: unknown): Record<string, string> {
  if (!(error instanceof Problem)) return {}
  return Object.fromEntries(error.errors.map(({ where, message }) => [where.replace(/^body\./, ''), message]))
}

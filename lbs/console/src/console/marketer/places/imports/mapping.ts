// Which column of a file holds which field, as `map` of the API says it.

export type Kind = 'stores' | 'fences'

/** What a column can hold, by what the API calls it. */
export const FIELDS: Record<Kind, readonly string[]> = {
  stores: [
    'external_id',
    'name',
    'lat',
    'lng',
    'brand',
    'category',
    'address',
    'timezone',
    'opening_hours',
    'phone',
    'url',
  ],
  fences: [
    'external_id',
    'name',
    'lat',
    'lng',
    'radius_m',
    'store',
    'profile',
    'enter_after_s',
    'exit_after_s',
    'exit_buffer_m',
    'min_confidence',
    'dwell_s',
    'hold_s',
    'gap_s',
    'crossed_within_s',
  ],
}

export const IGNORED = ''
/** By column: a field, or IGNORED. A column that is not named is left to the API. */
export type Mapping = Readonly<Record<string, string>>

export function mapText(mapping: Mapping): string {
  return Object.entries(mapping)
    .map(([column, field]) => (field === IGNORED ? `${column}=` : `${field}=${column}`))
    .join(',')
}

/** A field that one column gets is taken from the other that had it. */
export function assign(mapping: Mapping, column: string, field: string | null): Mapping {
  const rest = Object.fromEntries(
    Object.entries(mapping).filter(
      ([other, has]) => other !== column && (field === null || has === '' || has !== field),
    ),
  )
  return field === null ? rest : { ...rest, [column]: field }
}

/** What the API's text for it cannot name. */
export const isNameable = (column: string) => !/[,=]/.test(column) && column.trim() === column && column !== ''

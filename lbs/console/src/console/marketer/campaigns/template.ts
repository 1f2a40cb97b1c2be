// The texts of creatives, read as the API reads them: `{store}`, `{distance|close to you}`, `{{` and `}}`.
export const PLACEHOLDERS = ['store', 'distance', 'price', 'code', 'ends'] as const
export type Placeholder = (typeof PLACEHOLDERS)[number]
type Piece = string | { name: Placeholder; otherwise: string }

export interface TemplateFault {
  column: number
  fault: 'closes_nothing' | 'never_closed' | 'unknown'
  name: string
}

/** The pieces of a text, or what cannot be read and in which column, from 1. */
export function parse(text: string): Piece[] | TemplateFault {
  const letters = [...text]
  const pieces: Piece[] = []
  let words = ''
  let at = 0
  while (at < letters.length) {
    const letter = letters[at]
    if ((letter === '{' || letter === '}') && letters[at + 1] === letter) {
      words += letter
      at += 2
    } else if (letter === '}') {
      return { column: at + 1, fault: 'closes_nothing', name: '' }
    } else if (letter === '{') {
      const end = letters.indexOf('}', at)
      const inside = letters.slice(at + 1, end)
      if (end < 0 || inside.includes('{')) return { column: at + 1, fault: 'never_closed', name: '' }
      const [name = '', ...otherwise] = inside.join('').split('|')
      if (!PLACEHOLDERS.includes(name as Placeholder)) return { column: at + 1, fault: 'unknown', name }
      pieces.push(words, { name: name as Placeholder, otherwise: otherwise.join('|') })
      words = ''
      at = end + 1
    } else {
      words += letter
      at += 1
    }
  }
  return [...pieces, words].filter((piece) => piece !== '')
}

export const isFault = (found: Piece[] | TemplateFault): found is TemplateFault => !Array.isArray(found)

/** The text with its values; as it stands if it cannot be read. */
export function fill(text: string, values: Partial<Record<Placeholder, string>>): string {
  const pieces = parse(text)
  if (isFault(pieces)) return text
  const said = pieces.map((piece) => (typeof piece === 'string' ? piece : (values[piece.name] ?? piece.otherwise)))
  const whole = said.join('')
  if (said.every((words) => words !== '')) return whole
  return whole
    .replace(/ {2,}/g, ' ')
    .replace(/ +([,.;:!?])/g, '$1')
    .trim()
}

// Codes as shoppers show them, e.g. 2CDF-HJKM-N3P6: read here as the API reads them, so that a slip is told while typing.

export const LENGTH = 12
const ALPHABET = '23456789CDFHJKMNPRTVWXY'
/** Characters that no code has, as what they look like. */
const LOOK_ALIKE: Readonly<Record<string, string>> = {
  Z: '2',
  S: '5',
  G: '6',
  B: '8',
  U: 'V',
  O: 'D',
  Q: 'D',
  '0': 'D',
  I: '7',
  L: '7',
  '1': '7',
}

export type Read =
  | { state: 'short'; code: string }
  | { state: 'wrong'; why: 'character' | 'long' | 'check' }
  | { state: 'code'; code: string }

/** What was typed or scanned so far. Case, spaces and hyphens do not matter. */
export function read(text: string): Read {
  const characters = [...text.replaceAll(/[\s\-\u2010-\u2014]/g, '').toUpperCase()].map((one) => LOOK_ALIKE[one] ?? one)
  const code = characters.join('')
  if (characters.some((one) => !ALPHABET.includes(one))) return { state: 'wrong', why: 'character' }
  if (characters.length < LENGTH) return { state: 'short', code }
  if (characters.length > LENGTH) return { state: 'wrong', why: 'long' }
  // the last character makes the weighted sum of all divisible by the number of characters there are, a prime
  const sum = characters.reduce((total, one, index) => total + (index + 1) * ALPHABET.indexOf(one), 0)
  return sum % ALPHABET.length === 0 ? { state: 'code', code } : { state: 'wrong', why: 'check' }
}

/** In groups, for people. */
export function shown(code: string): string {
  return code.match(/.{1,4}/g)?.join('-') ?? code
}

/** An amount of money as people write it, with a point or a comma; null if it is none. */
export function readAmount(text: string): string | null {
  const plain = text.trim().replace(',', '.')
  return /^\d{1,9}(\.\d{1,4})?$/.test(plain) ? plain : null
}

// Every text exists in both languages, and asks for the same values.
import { describe, expect, it } from 'vitest'

type Texts = { [key: string]: string | Texts }

const files = import.meta.glob<Texts>('../**/locales/*.json', { eager: true, import: 'default' })

function flat(texts: Texts, before = ''): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).flatMap(([key, value]) =>
      typeof value === 'string' ? [[before + key, value]] : Object.entries(flat(value, `${before}${key}.`)),
    ),
  )
}

/** But for how many: English says "one" without a number. */
const values = (text: string) =>
  [...text.matchAll(/\{\{\s*(\w+)/g)]
    .map(([, name]) => name)
    .filter((name) => name !== 'count')
    .sort()

describe.each(Object.keys(files).filter((path) => path.endsWith('/en.json')))('%s', (path) => {
  const english = flat(files[path] ?? {})
  const chinese = flat(files[path.replace('/en.json', '/zh.json')] ?? {})

  it('has the same texts in Chinese', () => {
    expect(Object.keys(chinese).sort()).toEqual(Object.keys(english).sort())
  })
  it('asks for the same values in Chinese', () => {
    for (const [key, text] of Object.entries(english))
      expect([key, values(chinese[key] ?? '')]).toEqual([key, values(text)])
  })
  it('leaves nothing empty', () => {
    for (const text of [...Object.values(english), ...Object.values(chinese)]) expect(text.trim()).not.toBe('')
  })
})

import { describe, expect, it } from 'vitest'
import en from './locales/en.json'
import zh from './locales/zh.json'
import { authors, blank, cleaned, fieldOf } from './model'
import { verdict } from './one/verdict'
import { readRule, writeRule } from './recurrence'
import { compared, readJson } from './rules'
import { fill, parse } from './template'
import { instantIn } from './zoned'

const keys = (texts: object, at = ''): string[] =>
  Object.entries(texts).flatMap(([key, value]) =>
    typeof value === 'string' ? [`${at}${key}`] : keys(value as object, `${at}${key}.`),
  )

it('says everything in both languages', () => {
  expect(keys(zh).sort()).toEqual(keys(en).sort())
})

describe('templates', () => {
  it.each([
    ['Coffee at {store}', 'Coffee at Joe’s'],
    ['{{{store}}} is {distance|near}', '{Joe’s} is near'],
    ['Coffee at {store}, {distance} away', 'Coffee at Joe’s, away'],
  ])('fills %s', (text, said) => {
    expect(fill(text, { store: 'Joe’s' })).toBe(said)
  })
  it.each([
    ['a } b', { column: 3, fault: 'closes_nothing', name: '' }],
    ['😀 {store', { column: 3, fault: 'never_closed', name: '' }],
    ['{shop}', { column: 1, fault: 'unknown', name: 'shop' }],
  ])('tells what is wrong with %s', (text, fault) => {
    expect(parse(text)).toEqual(fault)
  })
})

describe('recurrence', () => {
  it.each([
    'DTSTART:20260601T100000\nRRULE:FREQ=MONTHLY;BYDAY=1SA',
    'DTSTART:20260601T093000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH',
    'DTSTART:20260615T100000\nRRULE:FREQ=MONTHLY',
    'DTSTART:20261224T100000\nRRULE:FREQ=YEARLY',
    'DTSTART:20260601T100000\nRRULE:FREQ=MONTHLY;INTERVAL=3;BYDAY=-1FR',
  ])('reads and writes %s', (text) => {
    const rule = readRule(text)
    expect(rule && writeRule(rule)).toBe(text)
  })
  it.each([
    'DTSTART:20260601T100000\nRRULE:FREQ=DAILY',
    'DTSTART:20260601T100000\nRRULE:FREQ=WEEKLY;COUNT=3;BYDAY=MO',
    'DTSTART:20260601T100000\nRRULE:FREQ=MONTHLY;BYDAY=1SA,3SA',
    'nonsense',
  ])('leaves %s as it is', (text) => {
    expect(readRule(text)).toBeNull()
  })
})

describe('rules', () => {
  it('reads JSON that is a rule, and says so of any other', () => {
    const rule = { all: [{ attribute: 'tier', one_of: ['gold'] }, { not: { attribute: 'age', below: 18 } }] }
    expect(readJson(JSON.stringify(rule))).toEqual(rule)
    for (const other of [
      { all: [] },
      { attribute: 'a' },
      { attribute: 'a', is: 1, above: 2 },
      { all: [], any: [] },
      [],
    ]) {
      expect(readJson(JSON.stringify(other))).toBeInstanceOf(Error)
    }
  })
  it('keeps the value where another comparison can have it', () => {
    expect(compared({ attribute: 'tier', is: 'gold' }, 'one_of')).toEqual({ attribute: 'tier', one_of: ['gold'] })
    expect(compared({ attribute: 'age', at_least: 18 }, 'below')).toEqual({ attribute: 'age', below: 18 })
    expect(compared({ attribute: 'vip', is: true }, 'starts_with')).toEqual({ attribute: 'vip', starts_with: '' })
  })
})

describe('the form', () => {
  it('finds the field that the API speaks of', () => {
    expect(fieldOf('body.creatives[0].title')).toBe('creatives.0.title')
    expect(fieldOf('body.trigger.scheduled.at')).toBe('trigger.at')
    expect(fieldOf('body.offer')).toBe('offer.value')
    expect(fieldOf('body')).toBe('')
  })
  it('sends nothing for a field that was emptied, and empty texts as they are', () => {
    const draft = { ...blank(), stock: '' as unknown as number, brand: '' }
    const sent = cleaned(draft)
    expect([sent.stock, sent.brand, sent.name, sent.creatives[0]?.body]).toEqual([null, null, '', ''])
  })
})

it('knows who may not approve: who wrote the newest version, and who submitted it last', () => {
  const at = '2026-06-01T12:00:00Z'
  const move = (name: string, actor: string) =>
    ({ move: name, actor, at, version: 1, status: 'submitted', reason: null }) as const
  const version = (number: number, created_by: string) => ({ version: number, created_at: at, created_by })
  const history = {
    versions: [version(1, 'user:1'), version(2, 'user:2')],
    moves: [move('submit', 'user:1'), move('reject', 'user:9'), move('submit', 'user:3')],
    people: {},
  }
  expect(authors(history)).toEqual(['user:2', 'user:3'])
})

describe('wall times', () => {
  it.each([
    ['Europe/Helsinki', '2026-06-01 12:30', '2026-06-01T09:30:00.000Z'],
    // the clock goes back at 04:00: the first of the two 03:30
    ['Europe/Helsinki', '2026-10-25 03:30', '2026-10-25T00:30:00.000Z'],
    // it goes forward at 03:00: 03:30 does not exist
    ['Europe/Helsinki', '2026-03-29 03:30', '2026-03-29T01:30:00.000Z'],
    ['America/New_York', '2026-01-01 00:00', '2026-01-01T05:00:00.000Z'],
  ])('in %s %s', (zone, wall, instant) => {
    expect(instantIn(zone, wall)).toBe(instant)
  })
})

it('says no more of a difference than its interval does', () => {
  expect([
    verdict({ low: 0.01, high: 0.2 }),
    verdict({ low: -0.2, high: -0.01 }),
    verdict({ low: -0.1, high: 0.1 }),
    verdict({ low: null, high: null }),
  ]).toEqual(['more', 'less', 'unknown', 'few'])
})

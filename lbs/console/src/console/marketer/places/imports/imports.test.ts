import { describe, expect, it } from 'vitest'
import { understood } from '../fences/said'
import { stretches } from '../hours'
import { runsAt } from '../runsAt'
import en from '../locales/en.json'
import zh from '../locales/zh.json'
import { toCsv } from './csv'
import { assign, IGNORED, isNameable, mapText } from './mapping'

describe('CSV', () => {
  it('quotes what would break it, and is no formula', () => {
    expect(
      toCsv(
        ['a', 'b'],
        [
          ['x,"y"', '=1+1'],
          [null, -3],
        ],
      ),
    ).toBe('a,b\r\n"x,""y""",\'=1+1\r\n,-3\r\n')
  })
})

describe('the mapping of columns', () => {
  it('is the text that the API takes', () => {
    expect(mapText({ y: 'lat', notes: IGNORED })).toBe('lat=y,notes=')
  })
  it('gives a field to one column only', () => {
    expect(assign({ y: 'lat', notes: IGNORED }, 'breite', 'lat')).toEqual({ notes: IGNORED, breite: 'lat' })
    expect(assign({ a: IGNORED }, 'b', IGNORED)).toEqual({ a: IGNORED, b: IGNORED })
    expect(assign({ y: 'lat' }, 'y', null)).toEqual({})
  })
  it('knows which columns it cannot name', () => {
    expect(['a', 'a b', 'a,b', 'a=b', ' a'].map(isNameable)).toEqual([true, true, false, false, false])
  })
})

describe('opening hours', () => {
  const changes = [
    { at: '2026-03-02T18:00:00Z', open: false },
    { at: '2026-03-03T09:00:00Z', open: true },
  ]
  it('are read back as stretches', () => {
    expect(stretches(true, changes)).toEqual([
      { from: null, to: '2026-03-02T18:00:00Z' },
      { from: '2026-03-03T09:00:00Z', to: null },
    ])
    expect(stretches(false, changes.slice(1))).toEqual([{ from: '2026-03-03T09:00:00Z', to: null }])
    expect(stretches(null, [])).toEqual([])
  })
})

describe('a campaign runs at a store', () => {
  it('if it names it, one of its fences, or nothing', () => {
    const fences = new Set(['7'])
    expect(runsAt({ stores: [], fences: [] }, '1', fences)).toBe(true)
    expect(runsAt({ stores: ['1'], fences: [] }, '1', fences)).toBe(true)
    expect(runsAt({ stores: [], fences: ['7'] }, '1', fences)).toBe(true)
    expect(runsAt({ stores: ['2'], fences: [] }, '1', fences)).toBe(false)
    expect(runsAt({ stores: [], fences: ['8'] }, '1', fences)).toBe(false)
  })
})

describe('what the API says of a geometry', () => {
  it.each([
    ['coordinates[0]: self-intersection at lat 60.1650000, lng -24.9400000', 'crosses'],
    ['coordinates[0]: taken to lie across 180 degrees; it was split there', 'seam'],
    ['coordinates[0]: the ring goes round the earth; the smaller side, over the north pole, was taken', 'pole'],
    ['coordinates: parts that overlap or share an edge were merged into one', 'merged'],
    ['coordinates[0]: the ring has no area', 'no_area'],
  ])('%s', (message, kind) => {
    expect(understood(message)?.kind).toBe(kind)
  })
  it('is told as it is where we have no words', () => {
    expect(understood('type: must be Polygon')).toBeNull()
  })
})

describe('texts', () => {
  const keys = (value: object, at = ''): string[] =>
    Object.entries(value).flatMap(([key, inner]) =>
      typeof inner === 'object' && inner !== null
        ? keys(inner, `${at}${key}.`)
        : [`${at}${key}`.replace(/_(one|other)$/, '')],
    )
  it('are there in both languages', () => {
    expect([...new Set(keys(zh))].sort()).toEqual([...new Set(keys(en))].sort())
  })
})

import { expect, it } from 'vitest'
import { countdown, svgUrl } from './code'
import { boundsOf } from './points'
import en from './locales/en.json'
import zh from './locales/zh.json'

function keys(texts: object, under = ''): string[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    typeof text === 'string' ? `${under}${name}` : keys(text as object, `${under}${name}.`),
  )
}

it('says everything in both languages', () => {
  expect(keys(zh)).toEqual(keys(en))
})

it('counts down', () => {
  expect([3_849_000, 249_999, 59_000, -5].map(countdown)).toEqual(['1:04:09', '4:09', '0:59', '0:00'])
})

it('makes an address of an SVG, with or without its namespace', () => {
  const whole = '<svg xmlns="http://www.w3.org/2000/svg" width="1"/>'
  expect(decodeURIComponent(svgUrl('<svg width="1"/>'))).toBe(`data:image/svg+xml,${whole}`)
  expect(decodeURIComponent(svgUrl(whole))).toBe(`data:image/svg+xml,${whole}`)
})

it('puts a box round places, the shorter way round the earth', () => {
  const place = (lat: number, lng: number) => ({ lat, lng })
  expect(boundsOf([])).toBeNull()
  expect(boundsOf([place(60, 25)])).toEqual([25, 60, 25, 60])
  expect(boundsOf([place(60, 25), place(61, 24), place(59, 24.5)])).toEqual([24, 59, 25, 61])
  expect(boundsOf([place(-17, 179), place(-18, -179)])).toEqual([179, -18, -179, -17])
})

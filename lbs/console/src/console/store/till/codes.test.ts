import { describe, expect, it } from 'vitest'
import { read, readAmount, shown } from './codes'

const CODE = '2CDFHJKMN3P6'

describe('codes', () => {
  it('are read however they are written', () => {
    for (const text of [CODE, ' 2cdf hjkm-n3p6 ', '2CDF\u2013HJKM\u2013N3P6', 'zCDFHJKMN3P6']) {
      expect(read(text)).toEqual({ state: 'code', code: CODE })
    }
    expect(shown(CODE)).toBe('2CDF-HJKM-N3P6')
  })
  it('are short until the last character', () => {
    expect(read('2cdf h')).toEqual({ state: 'short', code: '2CDFH' })
    expect(read('')).toEqual({ state: 'short', code: '' })
  })
  it('catch every wrong character and every two that are swapped', () => {
    const alphabet = '23456789CDFHJKMNPRTVWXY'
    for (let place = 0; place < CODE.length; place++) {
      for (const other of alphabet) {
        if (other === CODE[place]) continue
        expect(read(CODE.slice(0, place) + other + CODE.slice(place + 1)).state).toBe('wrong')
      }
      for (let second = place + 1; second < CODE.length; second++) {
        const swapped = [...CODE]
        ;[swapped[place], swapped[second]] = [swapped[second] ?? '', swapped[place] ?? '']
        if (swapped.join('') !== CODE) expect(read(swapped.join(''))).toEqual({ state: 'wrong', why: 'check' })
      }
    }
  })
  it('say what is wrong', () => {
    expect(read('2CDF-HJKM-N3P6-7')).toEqual({ state: 'wrong', why: 'long' })
    expect(read('2CDF*')).toEqual({ state: 'wrong', why: 'character' })
  })
})

describe('amounts', () => {
  it('have a point or a comma', () => {
    expect(readAmount('12,50')).toBe('12.50')
    expect(readAmount(' 12.5')).toBe('12.5')
    expect(readAmount('1,000.00')).toBeNull()
    expect(readAmount('-3')).toBeNull()
    expect(readAmount('')).toBeNull()
  })
})

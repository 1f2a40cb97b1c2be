// Numbers, money, distances and times in the reader's language; times in the zone that they belong to.
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

export type Format = ReturnType<typeof formatIn>

export function useFormat(): Format {
  const { i18n } = useTranslation()
  return useMemo(() => formatIn(i18n.language), [i18n.language])
}

const MINUTE_S = 60
const HOUR_S = 3600
const DAY_S = 86_400

/** The reader's own way of a language if the browser names it: en-GB has a day of 24 hours. */
export function localeOf(language: string): string {
  const named = typeof navigator === 'undefined' ? [] : navigator.languages
  return named.find((one) => one.toLowerCase().startsWith(language)) ?? (language === 'zh' ? 'zh-Hans' : language)
}

export function formatIn(language: string) {
  const intl = localeOf(language)
  const number = new Intl.NumberFormat(intl)
  const share = new Intl.NumberFormat(intl, { style: 'percent', maximumFractionDigits: 1 })
  const unit = (value: number, name: string, digits = 0) =>
    new Intl.NumberFormat(intl, {
      style: 'unit',
      unit: name,
      unitDisplay: 'short',
      maximumFractionDigits: digits,
    }).format(value)
  const at = (options: Intl.DateTimeFormatOptions) => (instant: string | Date, timeZone?: string) =>
    new Intl.DateTimeFormat(intl, { ...options, ...(timeZone ? { timeZone } : {}) }).format(new Date(instant))
  return {
    number: (value: number) => number.format(value),
    /** 0.123 as 12.3 %. */
    share: (value: number) => share.format(value),
    money: (amount: number | string, currency: string) =>
      new Intl.NumberFormat(intl, { style: 'currency', currency }).format(Number(amount)),
    distance: (metres: number) =>
      metres < 950
        ? unit(metres < 20 ? Math.round(metres) : Math.round(metres / 10) * 10, 'meter')
        : unit(metres / 1000, 'kilometer', 1),
    area: (m2: number) =>
      m2 < 1e6
        ? `${number.format(Math.round(m2))} m²`
        : `${new Intl.NumberFormat(intl, { maximumFractionDigits: 2 }).format(m2 / 1e6)} km²`,
    duration: (seconds: number) => {
      if (seconds < MINUTE_S) return unit(Math.round(seconds), 'second')
      if (seconds < HOUR_S) return unit(Math.round(seconds / MINUTE_S), 'minute')
      if (seconds < DAY_S) return unit(seconds / HOUR_S, 'hour', 1)
      return unit(seconds / DAY_S, 'day', 1)
    },
    date: at({ dateStyle: 'medium' }),
    time: at({ timeStyle: 'short' }),
    /** With seconds. */
    clock: at({ timeStyle: 'medium' }),
    dateTime: at({ dateStyle: 'medium', timeStyle: 'short' }),
    weekday: at({ weekday: 'short', day: 'numeric', month: 'short' }),
    month: at({ month: 'long', year: 'numeric' }),
    /** From a day to a day, both written YYYY-MM-DD. */
    days: (first: string, last: string) =>
      new Intl.DateTimeFormat(intl, { dateStyle: 'medium', timeZone: 'UTC' }).formatRange(
        Date.parse(first),
        Date.parse(last),
      ),
  }
}

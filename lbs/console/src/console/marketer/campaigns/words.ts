// A campaign in plain words, in the reader's language.
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { type Format, useFormat } from '@/shared/format'
import { DAY_S, type Cap, type Draft, type Offer, type Trigger, type Weekday, WEEKDAYS, type Windows } from './model'
import { readRule } from './recurrence'
import { comparisonOf, groupOf } from './rules'
import { type Rule, type Scalar } from './model'
import { TEXTS } from './texts'

export interface Speech {
  t: (key: string, values?: Record<string, unknown>) => string
  f: Format
  language: string
}

export function useSpeech(): Speech {
  const { t, i18n } = useTranslation(TEXTS)
  const f = useFormat()
  return useMemo(() => ({ t: t as Speech['t'], f, language: i18n.language }), [t, f, i18n.language])
}

const MONDAY = Date.UTC(2024, 0, 1)

export function dayName(language: string, day: Weekday, style: 'short' | 'long' | 'narrow' = 'short'): string {
  const at = MONDAY + WEEKDAYS.indexOf(day) * DAY_S * 1000
  return new Intl.DateTimeFormat(language, { weekday: style, timeZone: 'UTC' }).format(at)
}

/** `Mon–Fri, Sun`: three days in a row and more are told by their ends. */
export function daysInWords({ t, language }: Pick<Speech, 't' | 'language'>, days: readonly Weekday[]): string {
  const wanted = WEEKDAYS.filter((day) => days.includes(day))
  if (wanted.length === WEEKDAYS.length) return t('words.every_day')
  const runs: Weekday[][] = []
  for (const day of wanted) {
    const run = runs.at(-1)
    const last = run?.at(-1)
    if (run && last && WEEKDAYS.indexOf(last) + 1 === WEEKDAYS.indexOf(day)) run.push(day)
    else runs.push([day])
  }
  const name = (day: Weekday | undefined) => (day ? dayName(language, day) : '')
  const parts = runs.flatMap((run) =>
    run.length > 2 ? [t('words.days_from_to', { from: name(run[0]), to: name(run.at(-1)) })] : run.map(name),
  )
  return parts.join(t('words.comma'))
}

/** A local day as the reader writes it. */
export const day = (f: Format, date: string) => f.date(`${date}T00:00:00Z`, 'UTC')

export function recurringInWords(speech: Speech, rule: string, durationMin: number): string {
  const { t, f } = speech
  const found = readRule(rule)
  const lasts = f.duration(durationMin * 60)
  if (found === null) return t('words.recurring.other', { lasts })
  return t(`words.recurring.${found.kind}`, {
    count: found.every,
    days: daysInWords(speech, found.days),
    nth: found.nth === -1 ? t('nth.last') : t(`nth.${found.nth}`),
    day: found.kind === 'monthly_day' ? Number(found.first.slice(8)) : day(f, found.first),
    time: found.time,
    lasts,
  })
}

export function scheduleInWords(speech: Speech, windows: Windows): string {
  const { t, f } = speech
  const { first_day: first, last_day: last } = windows
  const said = []
  if (first && last) said.push(t('words.from_to', { from: day(f, first), to: day(f, last) }))
  else if (first) said.push(t('words.from', { from: day(f, first) }))
  else if (last) said.push(t('words.to', { to: day(f, last) }))
  const hours = [
    ...windows.weekly.map((one) => `${daysInWords(speech, one.days)} ${one.start}–${one.end}`),
    ...windows.recurring.map((one) => recurringInWords(speech, one.rule, one.duration_min)),
  ]
  if (hours.length > 0) said.push(hours.join(t('words.or')))
  if (windows.only_while_open) said.push(t('words.while_open'))
  if (windows.blackout_days.length > 0) said.push(t('words.blackout', { count: windows.blackout_days.length }))
  return said.length > 0 ? said.join(t('words.comma')) : t('words.always')
}

export function triggerInWords({ t, f, language }: Speech, trigger: Trigger, where: string): string {
  if (trigger.type === 'scheduled') {
    const days = trigger.days.length > 0 ? daysInWords({ t, language }, trigger.days) : t('words.every_day')
    return t('words.trigger.scheduled', {
      where,
      at: trigger.at,
      days,
      radius: f.distance(trigger.radius_m),
      within: f.duration(trigger.seen_within_s),
    })
  }
  const least = Number(trigger.min_dwell_s)
  return t(`words.trigger.${trigger.type}${least > 0 ? '_least' : ''}`, { where, time: f.duration(least) })
}

export function offerInWords({ t, f }: Speech, offer: Offer): string {
  const value = Number(offer.value ?? 0)
  const money = (amount: number) => (isCurrency(offer.currency) ? f.money(amount, offer.currency) : f.number(amount))
  const kind = t(`words.offer.${offer.kind}`, {
    value: offer.kind === 'percentage' ? f.share(value / 100) : money(value),
  })
  return offer.min_spend ? t('words.offer.min_spend', { what: kind, least: money(Number(offer.min_spend)) }) : kind
}

export const isCurrency = (text: string | null | undefined): text is string => /^[A-Z]{3}$/.test(text ?? '')

export function capInWords({ t, f }: Speech, cap: Cap): string {
  const period = cap.window_s
    ? Number(cap.window_s) === DAY_S
      ? t('words.cap.in_a_day')
      : t('words.cap.in', { time: f.duration(Number(cap.window_s)) })
    : cap.days
      ? t('words.cap.days', { count: Number(cap.days) })
      : t('words.cap.ever')
  return t('words.cap.of', { count: Number(cap.count), per: t(`words.cap.per_${cap.per}`), period })
}

function valueInWords({ t }: Pick<Speech, 't'>, value: Scalar): string {
  if (typeof value === 'boolean') return t(value ? 'yes' : 'no')
  return typeof value === 'string' ? `“${value}”` : String(value)
}

export function ruleInWords(speech: Pick<Speech, 't'>, rule: Rule): string {
  const { t } = speech
  const group = groupOf(rule)
  if (group) {
    const parts = (rule[group] ?? []).map((part) =>
      groupOf(part) ? `(${ruleInWords(speech, part)})` : ruleInWords(speech, part),
    )
    return parts.join(t(`words.rule.${group}`))
  }
  if (rule.not) return t('words.rule.not', { rule: ruleInWords(speech, rule.not) })
  const comparison = comparisonOf(rule)
  const value = rule[comparison]
  const told = Array.isArray(value)
    ? value.map((one) => valueInWords(speech, one)).join(t('words.comma'))
    : valueInWords(speech, value ?? '')
  const word = comparison === 'exists' && value === false ? 'exists_not' : comparison
  return t(`words.rule.${word}`, { attribute: rule.attribute, value: told })
}

/** Where it runs; `one` is the name of the place if it is a single one. */
export function whereInWords(
  { t }: Pick<Speech, 't'>,
  draft: Pick<Draft, 'stores' | 'fences'>,
  one: string | null,
): string {
  const { stores, fences } = draft
  if (stores.length + fences.length === 0) return t('words.where.everywhere')
  if (stores.length + fences.length === 1 && one !== null) return one
  return stores.length > 0
    ? t('words.where.stores', { count: stores.length })
    : t('words.where.fences', { count: fences.length })
}

/** All that it does: one sentence for the offer, then one for each limit. */
export function summary(speech: Speech, draft: Draft, one: string | null): string[] {
  const { t, f } = speech
  const when = scheduleInWords(speech, draft.windows)
  const where = whereInWords(speech, draft, one)
  const sentences = [
    t('words.main', {
      when: when.charAt(0).toLocaleUpperCase(speech.language) + when.slice(1),
      who: draft.audience ? t('words.those') : t('words.phones'),
      does: triggerInWords(speech, draft.trigger, where),
      what: offerInWords(speech, draft.offer),
    }),
  ]
  if (draft.audience) sentences.push(t('words.audience', { rule: ruleInWords(speech, draft.audience) }))
  sentences.push(draft.caps.length > 0 ? draft.caps.map((cap) => capInWords(speech, cap)).join(' ') : t('words.no_cap'))
  if (draft.cool_down_s) sentences.push(t('words.cool_down', { time: f.duration(Number(draft.cool_down_s)) }))
  if (draft.stock != null)
    sentences.push(t('words.stock', { count: Number(draft.stock), n: f.number(Number(draft.stock)) }))
  if (draft.budget?.total && isCurrency(draft.budget.currency)) {
    sentences.push(t('words.budget', { money: f.money(Number(draft.budget.total), draft.budget.currency) }))
  }
  if (draft.holdout_share) sentences.push(t('words.holdout', { share: f.share(Number(draft.holdout_share)) }))
  if (draft.quiet_hours.times) {
    const { start, end } = draft.quiet_hours.times
    sentences.push(t(`words.quiet.${draft.quiet_hours.policy}`, { start, end }))
  }
  return sentences
}

// What the message looks like on a phone: as a notification, and as a card in an app. Values in it are examples.
import { Box, Group, Image, Paper, SegmentedControl, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { formatIn } from '@/shared/format'
import { type Creative, type Draft } from '../model'
import { fill, type Placeholder } from '../template'
import { TEXTS } from '../texts'
import { isCurrency } from '../words'
import { languageName } from './Creatives'
import classes from './PhonePreview.module.css'

interface Props {
  draft: Draft
  /** Which creative. */
  index: number
  onIndex: (index: number) => void
  /** A store's name to fill in. */
  store: string
}

const EXAMPLE_M = 120

function examples(draft: Draft, creative: Creative, store: string): Partial<Record<Placeholder, string>> {
  const f = formatIn(creative.locale.startsWith('zh') ? 'zh' : safeLocale(creative.locale))
  const { kind, value, currency } = draft.offer
  const amount = Number(value ?? 0)
  const price = kind === 'percentage' ? f.share(amount / 100) : isCurrency(currency) ? f.money(amount, currency) : ''
  return { store, distance: f.distance(EXAMPLE_M), price, ends: '14:00' }
}

function safeLocale(locale: string): string {
  try {
    return Intl.getCanonicalLocales(locale)[0] ?? 'en'
  } catch {
    return 'en'
  }
}

export function PhonePreview({ draft, index, onIndex, store }: Props) {
  const { t } = useTranslation(TEXTS)
  const [dark, setDark] = useState(false)
  const creative = draft.creatives[index] ?? draft.creatives[0]
  if (!creative) return null
  const values = examples(draft, creative, store)
  const title = fill(creative.title, values) || draft.name || t('preview.untitled')
  const words = fill(creative.body, values)
  return (
    <Stack gap="xs">
      <Group gap="xs" justify="space-between">
        <SegmentedControl
          size="xs"
          aria-label={t('preview.scheme')}
          value={dark ? 'dark' : 'light'}
          onChange={(value) => setDark(value === 'dark')}
          data={['light', 'dark'].map((value) => ({ value, label: t(`preview.${value}`) }))}
        />
        {draft.creatives.length > 1 && (
          <SegmentedControl
            size="xs"
            aria-label={t('preview.language')}
            value={String(Math.min(index, draft.creatives.length - 1))}
            onChange={(value) => onIndex(Number(value))}
            data={draft.creatives.map((one, at) => ({ value: String(at), label: one.locale || languageName('en') }))}
          />
        )}
      </Group>
      <Box className={classes.phone} data-dark={dark} lang={creative.locale} dir="auto">
        <Text className={classes.clock} aria-hidden>
          11:30
        </Text>
        <Box className={classes.notice}>
          <Box className={classes.icon} aria-hidden />
          <Box miw={0}>
            <Text size="sm" fw={650} className={classes.wrap}>
              {title}
            </Text>
            {words && (
              <Text size="sm" className={classes.wrap} lineClamp={4}>
                {words}
              </Text>
            )}
          </Box>
        </Box>
        <Text size="xs" className={classes.hint} lang={undefined}>
          {t('preview.in_app')}
        </Text>
        <Paper className={classes.card} p={0}>
          {draft.offer.image_url && <Image src={draft.offer.image_url} h={110} alt="" />}
          <Box p="sm">
            <Text fw={650} className={classes.wrap}>
              {title}
            </Text>
            {words && (
              <Text size="sm" className={classes.wrap}>
                {words}
              </Text>
            )}
            <Text size="xs" className={classes.hint} mt={6}>
              {[store, values.distance].filter(Boolean).join(' · ')}
            </Text>
            {draft.offer.terms && (
              <Text size="xs" className={classes.hint} lineClamp={2}>
                {draft.offer.terms}
              </Text>
            )}
            <Box className={classes.button} lang={undefined}>
              {t('preview.claim')}
            </Box>
          </Box>
        </Paper>
      </Box>
      <Text size="xs" c="dimmed">
        {t('preview.examples')}
      </Text>
    </Stack>
  )
}

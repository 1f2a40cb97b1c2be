// Beside the form: what the campaign says in plain words, and how it looks on a phone.
import { Paper, Stack, Text, Title } from '@mantine/core'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { byName, nameOfStore, useStores } from '../data'
import { type Draft } from '../model'
import { TEXTS } from '../texts'
import { summary, useSpeech } from '../words'
import { PhonePreview } from './PhonePreview'

interface Props {
  draft: Draft
  shown: number
  onShown: (index: number) => void
}

export function Aside({ draft, shown, onShown }: Props) {
  const { t } = useTranslation(TEXTS)
  const speech = useSpeech()
  const stores = useStores()
  const found = useMemo(() => byName(stores.data ?? [], (store) => store.store_id), [stores.data])
  const named = draft.stores[0]
  const first = named === undefined ? stores.data?.[0] : found.get(named)
  const one = draft.stores.length === 1 && first ? nameOfStore(first) : null
  return (
    <>
      <Paper withBorder p="md" component="section" aria-labelledby="in-words">
        <Title order={2} size="h5" mb="xs" id="in-words">
          {t('edit.in_words')}
        </Title>
        <Stack gap={6}>
          {summary(speech, draft, one).map((sentence) => (
            <Text key={sentence} size="sm">
              {sentence}
            </Text>
          ))}
        </Stack>
      </Paper>
      <Paper withBorder p="md" component="section" aria-labelledby="on-phone">
        <Title order={2} size="h5" mb="xs" id="on-phone">
          {t('preview.title')}
        </Title>
        <PhonePreview
          draft={draft}
          index={shown}
          onIndex={onShown}
          store={first ? nameOfStore(first) : t('preview.store')}
        />
      </Paper>
    </>
  )
}

// The words of the message, one creative a language. Templates are checked as they are typed, as the API will.
import {
  ActionIcon,
  Autocomplete,
  Button,
  Code,
  Fieldset,
  Group,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { type Creative } from '../model'
import { isFault, parse, PLACEHOLDERS } from '../template'
import { TEXTS } from '../texts'
import { type SectionProps } from './fields'

const LOCALES = [
  'en',
  'zh-Hans',
  'zh-Hant',
  'fi',
  'sv',
  'de',
  'fr',
  'es',
  'it',
  'pt',
  'nl',
  'pl',
  'ja',
  'ko',
  'ar',
  'ru',
]

interface Props extends SectionProps {
  /** Which one the preview shows. */
  onLook: (index: number) => void
}

export function Creatives({ form, onLook }: Props) {
  const { t } = useTranslation(TEXTS)
  const { creatives } = form.values
  const free = LOCALES.find((locale) => !creatives.some((one) => one.locale === locale)) ?? 'en'
  return (
    <Stack gap="md">
      <Group gap={6}>
        <Text size="sm" c="dimmed">
          {t('edit.words.holes')}
        </Text>
        {PLACEHOLDERS.map((name) => (
          <Code key={name} title={t(`edit.words.hole.${name}`)}>{`{${name}}`}</Code>
        ))}
      </Group>
      {creatives.map((creative, index) => (
        <CreativeFields
          key={index}
          form={form}
          index={index}
          creative={creative}
          onLook={() => onLook(index)}
          {...(creatives.length > 1 ? { onRemove: () => form.removeListItem('creatives', index) } : {})}
        />
      ))}
      <Group>
        <Button
          size="xs"
          variant="light"
          leftSection={<IconPlus size={16} aria-hidden />}
          onClick={() => form.insertListItem('creatives', { locale: free, title: '', body: '' })}
        >
          {t('edit.words.add')}
        </Button>
      </Group>
    </Stack>
  )
}

interface OneProps extends Props {
  creative: Creative
  index: number
  onLook: () => void
  onRemove?: () => void
}

function CreativeFields({ form, creative, index, onLook, onRemove }: OneProps) {
  const { t } = useTranslation(TEXTS)
  const at = `creatives.${index}`
  const fault = (text: string) => {
    const found = parse(text)
    return isFault(found) ? t(`edit.words.fault.${found.fault}`, { column: found.column, name: found.name }) : null
  }
  return (
    <Fieldset legend={languageName(creative.locale)} p="sm" onFocusCapture={onLook}>
      <Stack gap="xs">
        <Group align="flex-end" gap="xs" wrap="nowrap">
          <Autocomplete
            label={t('edit.words.locale')}
            data={LOCALES}
            w={160}
            {...form.getInputProps(`${at}.locale`)}
            onChange={(locale) => form.setFieldValue(`${at}.locale`, locale)}
          />
          {onRemove && (
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={t('edit.words.remove', { language: languageName(creative.locale) })}
              onClick={onRemove}
            >
              <IconTrash size={18} aria-hidden />
            </ActionIcon>
          )}
        </Group>
        <TextInput
          label={t('edit.words.title')}
          placeholder={t('edit.words.title_example')}
          required
          maxLength={200}
          {...form.getInputProps(`${at}.title`)}
          error={form.errors[`${at}.title`] ?? fault(creative.title)}
        />
        <Textarea
          label={t('edit.words.body')}
          autosize
          minRows={2}
          maxLength={1000}
          {...form.getInputProps(`${at}.body`)}
          error={form.errors[`${at}.body`] ?? fault(creative.body)}
        />
      </Stack>
    </Fieldset>
  )
}

/** What a language calls itself. */
export function languageName(locale: string): string {
  try {
    return new Intl.DisplayNames([locale], { type: 'language' }).of(locale) ?? locale
  } catch {
    return locale
  }
}

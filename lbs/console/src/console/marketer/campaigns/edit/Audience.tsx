// Who it is for: a builder of rules, and the same rule as JSON.
import { Button, Group, JsonInput, List, Paper, SegmentedControl, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { type Rule } from '../model'
import { NEW_LEAF, readJson } from '../rules'
import { TEXTS } from '../texts'
import { ruleInWords, useSpeech } from '../words'
import { type SectionProps } from './fields'
import { RuleFields } from './RuleFields'

export function Audience({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { audience } = form.values
  const [asJson, setAsJson] = useState(false)
  const set = (rule: Rule | null) => form.setFieldValue('audience', rule)
  const faults = Object.entries(form.errors).filter(([field]) => field.startsWith('audience'))
  return (
    <Stack gap="sm">
      <Group gap="sm" justify="space-between">
        <SegmentedControl
          aria-label={t('edit.audience.who')}
          value={audience === null ? 'everyone' : 'some'}
          onChange={(who) => set(who === 'everyone' ? null : { all: [NEW_LEAF] })}
          data={['everyone', 'some'].map((who) => ({ value: who, label: t(`edit.audience.${who}`) }))}
        />
        {audience !== null && (
          <Button size="compact-sm" variant="subtle" color="gray" onClick={() => setAsJson(!asJson)}>
            {t(asJson ? 'edit.audience.as_fields' : 'edit.audience.as_json')}
          </Button>
        )}
      </Group>
      {audience === null ? (
        <Text size="sm" c="dimmed">
          {t('edit.audience.everyone_hint')}
        </Text>
      ) : asJson ? (
        <AsJson rule={audience} onChange={set} />
      ) : (
        <RuleFields rule={audience} depth={1} onChange={set} />
      )}
      {audience !== null && <InWords rule={audience} />}
      {faults.length > 0 && (
        <List size="sm" c="red" role="alert">
          {faults.map(([field, message]) => (
            <List.Item key={field}>{message}</List.Item>
          ))}
        </List>
      )}
    </Stack>
  )
}

function InWords({ rule }: { rule: Rule }) {
  const speech = useSpeech()
  return (
    <Paper p="xs" radius="sm" bg="var(--mantine-color-default-hover)">
      <Text size="sm">{ruleInWords(speech, rule)}</Text>
      <Text size="xs" c="dimmed">
        {speech.t('edit.audience.missing_hint')}
      </Text>
    </Paper>
  )
}

function AsJson({ rule, onChange }: { rule: Rule; onChange: (rule: Rule | null) => void }) {
  const { t } = useTranslation(TEXTS)
  const [text, setText] = useState(() => JSON.stringify(rule, null, 2))
  const read = readJson(text)
  return (
    <JsonInput
      label={t('edit.audience.json')}
      description={t('edit.audience.json_hint')}
      autosize
      minRows={5}
      maxRows={20}
      spellCheck={false}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      value={text}
      onChange={(typed) => {
        setText(typed)
        const found = readJson(typed)
        if (found !== null && !(found instanceof Error)) onChange(found)
      }}
      error={
        read instanceof Error
          ? read.message === 'shape'
            ? t('edit.audience.json_shape')
            : t('edit.audience.json_bad', { why: read.message })
          : null
      }
    />
  )
}

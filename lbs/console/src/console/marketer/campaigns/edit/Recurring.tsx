// A window that recurs: the rules that most people need as fields, any other as its text.
import { ActionIcon, Group, NumberInput, Paper, Select, SimpleGrid, Stack, Textarea } from '@mantine/core'
import { DatePickerInput, TimeInput } from '@mantine/dates'
import { IconTrash } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { type Weekday } from '../model'
import { type Kind, KINDS, readRule, type Recurrence, writeRule } from '../recurrence'
import { TEXTS } from '../texts'
import { DayChips, DurationField, type SectionProps } from './fields'

const MOST_MIN = 7 * 24 * 60
const OWN = 'own'

const today = () => {
  const now = new Date()
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, '0')).join('-')
}

export const newRule = () => ({
  rule: writeRule({ kind: 'monthly_weekday', first: today(), time: '10:00', every: 1, days: ['sa'], nth: 1 }),
  duration_min: 240,
})

export function RecurringFields({ form, index }: SectionProps & { index: number }) {
  const { t } = useTranslation(TEXTS)
  const at = `windows.recurring.${index}`
  const window = form.values.windows.recurring[index]
  const found = window ? readRule(window.rule) : null
  const [own, setOwn] = useState(found === null)
  if (!window) return null
  const put = (rule: Recurrence) => form.setFieldValue(`${at}.rule`, writeRule(rule))
  const choose = (kind: string | null) => {
    setOwn(kind === OWN)
    if (kind === null || kind === OWN) return
    const before = found ?? { first: today(), time: '10:00', every: 1, nth: 1, days: [] }
    const days: Weekday[] = before.days.length > 0 ? before.days : ['sa']
    put({ ...before, kind: kind as Kind, days: kind === 'weekly' ? days : days.slice(0, 1) })
  }
  return (
    <Paper withBorder p="sm" radius="sm">
      <Stack gap="sm">
        <Group justify="space-between" align="flex-end" wrap="nowrap">
          <Select
            label={t('edit.recurring.kind')}
            allowDeselect={false}
            data={[...KINDS, OWN].map((kind) => ({ value: kind, label: t(`edit.recurring.${kind}`) }))}
            value={own || found === null ? OWN : found.kind}
            onChange={choose}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={t('edit.recurring.remove')}
            onClick={() => form.removeListItem('windows.recurring', index)}
          >
            <IconTrash size={18} aria-hidden />
          </ActionIcon>
        </Group>
        {own || found === null ? (
          <Textarea
            label={t('edit.recurring.rule')}
            description={t('edit.recurring.rule_hint')}
            autosize
            minRows={2}
            spellCheck={false}
            {...form.getInputProps(`${at}.rule`)}
          />
        ) : (
          <RuleFields rule={found} onChange={put} error={form.errors[`${at}.rule`]} />
        )}
        <DurationField
          label={t('edit.recurring.lasts')}
          units={['min', 'h', 'd']}
          value={window.duration_min * 60}
          onChange={(seconds) =>
            form.setFieldValue(`${at}.duration_min`, Math.min(MOST_MIN, Math.max(1, Math.round((seconds ?? 60) / 60))))
          }
          error={form.errors[`${at}.duration_min`]}
        />
      </Stack>
    </Paper>
  )
}

interface RuleProps {
  rule: Recurrence
  onChange: (rule: Recurrence) => void
  error: React.ReactNode
}

function RuleFields({ rule, onChange, error }: RuleProps) {
  const { t } = useTranslation(TEXTS)
  return (
    <>
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        <DatePickerInput
          label={t(rule.kind === 'monthly_day' || rule.kind === 'yearly' ? 'edit.recurring.on' : 'edit.recurring.from')}
          value={rule.first}
          onChange={(first) => first && onChange({ ...rule, first })}
          error={error}
        />
        <TimeInput
          label={t('edit.recurring.time')}
          value={rule.time}
          onChange={(event) => event.currentTarget.value && onChange({ ...rule, time: event.currentTarget.value })}
        />
        {rule.kind !== 'yearly' && (
          <NumberInput
            label={t(rule.kind === 'weekly' ? 'edit.recurring.every_weeks' : 'edit.recurring.every_months')}
            min={1}
            max={99}
            value={rule.every}
            onChange={(every) => onChange({ ...rule, every: Math.max(1, Number(every) || 1) })}
          />
        )}
      </SimpleGrid>
      <Group align="flex-end">
        {rule.kind === 'monthly_weekday' && (
          <Select
            label={t('edit.recurring.nth')}
            allowDeselect={false}
            w={140}
            data={['1', '2', '3', '4', '-1'].map((nth) => ({
              value: nth,
              label: t(nth === '-1' ? 'nth.last' : `nth.${nth}`),
            }))}
            value={String(rule.nth)}
            onChange={(nth) => onChange({ ...rule, nth: Number(nth ?? 1) })}
          />
        )}
        {(rule.kind === 'weekly' || rule.kind === 'monthly_weekday') && (
          <DayChips
            label={t('edit.schedule.days')}
            value={rule.days}
            single={rule.kind === 'monthly_weekday'}
            onChange={(days) => days.length > 0 && onChange({ ...rule, days })}
          />
        )}
      </Group>
    </>
  )
}

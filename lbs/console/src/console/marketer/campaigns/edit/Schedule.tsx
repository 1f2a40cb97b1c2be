// When it is on, in each store's own time, with the next times at a store of one's choice.
import { ActionIcon, Button, Group, Paper, SimpleGrid, Stack, Switch, Text, Title } from '@mantine/core'
import { DatePickerInput, TimeInput } from '@mantine/dates'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { type Weekday, WEEKDAYS, WORKING_DAYS } from '../model'
import { TEXTS } from '../texts'
import { DayChips, type SectionProps } from './fields'
import { newRule, RecurringFields } from './Recurring'
import { WindowsPreview } from './WindowsPreview'

const PRESETS: readonly { key: string; days: readonly Weekday[]; start: string; end: string }[] = [
  { key: 'lunch', days: WORKING_DAYS, start: '11:00', end: '14:00' },
  { key: 'evening', days: WEEKDAYS, start: '16:00', end: '20:00' },
  { key: 'weekend', days: WEEKDAYS.slice(5), start: '10:00', end: '18:00' },
]

export function Schedule({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { windows } = form.values
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <DatePickerInput
          label={t('edit.schedule.first')}
          placeholder={t('edit.schedule.any_day')}
          clearable
          {...form.getInputProps('windows.first_day')}
        />
        <DatePickerInput
          label={t('edit.schedule.last')}
          placeholder={t('edit.schedule.any_day')}
          clearable
          {...(windows.first_day ? { minDate: windows.first_day } : {})}
          {...form.getInputProps('windows.last_day')}
          error={form.errors['windows.last_day'] ?? form.errors.windows}
        />
      </SimpleGrid>
      <Switch
        label={t('edit.schedule.open')}
        description={t('edit.schedule.open_hint')}
        {...form.getInputProps('windows.only_while_open', { type: 'checkbox' })}
      />
      <Stack gap="xs">
        <Title order={3} size="h6">
          {t('edit.schedule.weekly')}
        </Title>
        {windows.weekly.length === 0 && (
          <Text size="sm" c="dimmed">
            {t('edit.schedule.weekly_none')}
          </Text>
        )}
        {windows.weekly.map((hours, index) => (
          <Paper key={index} withBorder p="sm" radius="sm">
            <Group align="flex-end" gap="sm">
              <DayChips
                label={t('edit.schedule.days')}
                value={hours.days}
                onChange={(days) => form.setFieldValue(`windows.weekly.${index}.days`, days)}
                error={form.errors[`windows.weekly.${index}.days`]}
              />
              <TimeInput label={t('edit.schedule.start')} {...form.getInputProps(`windows.weekly.${index}.start`)} />
              <TimeInput
                label={t('edit.schedule.end')}
                {...form.getInputProps(`windows.weekly.${index}.end`)}
                value={hours.end === '24:00' ? '00:00' : hours.end}
              />
              <ActionIcon
                variant="subtle"
                color="gray"
                size="lg"
                aria-label={t('edit.schedule.remove_hours')}
                onClick={() => form.removeListItem('windows.weekly', index)}
              >
                <IconTrash size={18} aria-hidden />
              </ActionIcon>
            </Group>
            {hours.end <= hours.start && (
              <Text size="xs" c="dimmed" mt={4}>
                {t('edit.schedule.next_day')}
              </Text>
            )}
          </Paper>
        ))}
        <Group gap="xs">
          {PRESETS.map(({ key, days, start, end }) => (
            <Button
              key={key}
              size="compact-sm"
              variant="light"
              leftSection={<IconPlus size={14} aria-hidden />}
              onClick={() => form.insertListItem('windows.weekly', { days: [...days], start, end })}
            >
              {t(`edit.schedule.preset.${key}`)}
            </Button>
          ))}
        </Group>
      </Stack>
      <Stack gap="xs">
        <Title order={3} size="h6">
          {t('edit.schedule.recurring')}
        </Title>
        {windows.recurring.map((_, index) => (
          <RecurringFields key={index} form={form} index={index} />
        ))}
        <Group>
          <Button
            size="compact-sm"
            variant="light"
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => form.insertListItem('windows.recurring', newRule())}
          >
            {t('edit.schedule.add_rule')}
          </Button>
        </Group>
      </Stack>
      <DatePickerInput
        type="multiple"
        label={t('edit.schedule.blackout')}
        description={t('edit.schedule.blackout_hint')}
        clearable
        {...form.getInputProps('windows.blackout_days')}
      />
      <WindowsPreview windows={windows} named={form.values.stores} />
    </Stack>
  )
}

// How it is told, and the finer points: quiet hours, precedence, rate, how long it is kept.
import { Group, NumberInput, Select, SimpleGrid, Stack, Switch, Text } from '@mantine/core'
import { TimeInput } from '@mantine/dates'
import { useTranslation } from 'react-i18next'
import { TEXTS } from '../texts'
import { DurationField, type SectionProps, ShareField } from './fields'

export function Delivery({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { quiet_hours: quiet, send_rate_per_min: rate, redemption } = form.values
  const choices = (at: string, values: readonly string[]) =>
    values.map((value) => ({ value, label: t(`${at}.${value}`) }))
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <Stack gap="xs">
          <Switch
            label={t('edit.quiet.title')}
            description={t('edit.quiet.hint')}
            checked={quiet.times !== null && quiet.times !== undefined}
            onChange={(event) =>
              form.setFieldValue(
                'quiet_hours.times',
                event.currentTarget.checked ? { start: '21:00', end: '08:00' } : null,
              )
            }
          />
          {quiet.times && (
            <Group grow>
              <TimeInput label={t('edit.schedule.start')} {...form.getInputProps('quiet_hours.times.start')} />
              <TimeInput label={t('edit.schedule.end')} {...form.getInputProps('quiet_hours.times.end')} />
            </Group>
          )}
        </Stack>
        <Select
          label={t('edit.quiet.policy')}
          description={t('edit.quiet.policy_hint')}
          allowDeselect={false}
          data={choices('edit.quiet.policies', ['defer', 'drop', 'inbox_only'])}
          {...form.getInputProps('quiet_hours.policy')}
        />
        <NumberInput
          label={t('edit.more.priority')}
          description={t('edit.more.priority_hint')}
          min={-1000}
          max={1000}
          allowDecimal={false}
          {...form.getInputProps('priority')}
        />
        <Select
          label={t('edit.more.stacking')}
          description={t('edit.more.stacking_hint')}
          allowDeselect={false}
          data={choices('edit.more.stackings', ['combinable', 'exclusive'])}
          {...form.getInputProps('stacking')}
        />
        <NumberInput
          label={t('edit.more.rate')}
          description={t('edit.more.rate_hint')}
          min={1}
          allowDecimal={false}
          placeholder={t('edit.limits.unlimited')}
          {...form.getInputProps('send_rate_per_min')}
          value={rate ?? ''}
        />
        <DurationField
          label={t('edit.more.reservation')}
          description={t('edit.more.reservation_hint')}
          value={form.values.reservation_ttl_s}
          onChange={(seconds) => form.setFieldValue('reservation_ttl_s', seconds ?? 0)}
          error={form.errors.reservation_ttl_s}
        />
        <DurationField
          label={t('edit.more.staleness')}
          description={t('edit.more.staleness_hint')}
          value={form.values.staleness_s}
          onChange={(seconds) => form.setFieldValue('staleness_s', seconds ?? 0)}
          error={form.errors.staleness_s}
        />
        <ShareField
          label={t('edit.more.confidence')}
          description={t('edit.more.confidence_hint')}
          value={form.values.min_confidence}
          onChange={(share) => form.setFieldValue('min_confidence', share ?? 0)}
          error={form.errors.min_confidence}
        />
        <DurationField
          label={t('edit.more.attribution')}
          description={t('edit.more.attribution_hint')}
          value={form.values.attribution_s}
          onChange={(seconds) => form.setFieldValue('attribution_s', seconds ?? 0)}
          error={form.errors.attribution_s}
        />
        <NumberInput
          label={t('edit.more.presence')}
          description={t('edit.more.presence_hint')}
          suffix=" m"
          min={1}
          max={20_000}
          placeholder={t('edit.more.presence_none')}
          {...form.getInputProps('redemption.presence_radius_m')}
          value={redemption.presence_radius_m ?? ''}
        />
      </SimpleGrid>
      <Text size="xs" c="dimmed">
        {t('edit.more.defaults')}
      </Text>
    </Stack>
  )
}

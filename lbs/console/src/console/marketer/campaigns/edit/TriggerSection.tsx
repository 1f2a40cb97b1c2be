import { Group, NumberInput, Radio, SimpleGrid, Stack, Switch, Text } from '@mantine/core'
import { TimeInput } from '@mantine/dates'
import { useTranslation } from 'react-i18next'
import { type Trigger } from '../model'
import { TEXTS } from '../texts'
import { DayChips, DurationField, type SectionProps } from './fields'

const TYPES: readonly Trigger['type'][] = ['enter', 'dwell', 'exit', 'crossed', 'already_inside', 'scheduled']

function begun(type: Trigger['type'], before: Trigger): Trigger {
  if (type === 'scheduled') return { type, at: '11:30', days: [], radius_m: 1000, seen_within_s: 1800 }
  const already_inside = type === 'already_inside' || before.type === 'scheduled' || before.already_inside
  return { type, already_inside, min_dwell_s: 0 }
}

/** The moment that brings the offer. */
export function TriggerSection({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { trigger } = form.values
  const set = (changed: Partial<Trigger>) => form.setFieldValue('trigger', { ...trigger, ...changed } as Trigger)
  const ofFences = form.values.fences.length > 0
  return (
    <Stack gap="md">
      <Radio.Group
        aria-label={t('edit.trigger.title')}
        value={trigger.type}
        onChange={(type) => form.setFieldValue('trigger', begun(type as Trigger['type'], trigger))}
        error={form.errors['trigger.type']}
      >
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="xs" verticalSpacing="xs">
          {TYPES.map((type) => (
            <Radio.Card key={type} value={type} p="sm" disabled={type === 'scheduled' && ofFences}>
              <Group wrap="nowrap" align="flex-start" gap="sm">
                <Radio.Indicator mt={2} />
                <div>
                  <Text size="sm">{t(`edit.trigger.${type}`)}</Text>
                  <Text size="xs" c="dimmed">
                    {t(`edit.trigger.${type}_hint`)}
                  </Text>
                </div>
              </Group>
            </Radio.Card>
          ))}
        </SimpleGrid>
      </Radio.Group>
      {trigger.type === 'scheduled' ? (
        <Stack gap="sm">
          <SimpleGrid cols={{ base: 1, sm: 3 }}>
            <TimeInput label={t('edit.trigger.at')} required {...form.getInputProps('trigger.at')} />
            <NumberInput
              label={t('edit.trigger.radius')}
              suffix=" m"
              min={1}
              max={20_000}
              {...form.getInputProps('trigger.radius_m')}
            />
            <DurationField
              label={t('edit.trigger.seen_within')}
              value={trigger.seen_within_s}
              onChange={(seconds) => set({ seen_within_s: seconds ?? 0 })}
              error={form.errors['trigger.seen_within_s']}
            />
          </SimpleGrid>
          <DayChips
            label={t('edit.trigger.days')}
            value={trigger.days}
            onChange={(days) => set({ days })}
            error={form.errors['trigger.days']}
          />
        </Stack>
      ) : (
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          {(trigger.type === 'dwell' || trigger.type === 'exit') && (
            <DurationField
              label={t('edit.trigger.min_dwell')}
              description={t(`edit.trigger.min_dwell_${trigger.type}`)}
              units={['s', 'min', 'h']}
              value={trigger.min_dwell_s}
              onChange={(seconds) => set({ min_dwell_s: seconds ?? 0 })}
              error={form.errors['trigger.min_dwell_s']}
            />
          )}
          {trigger.type !== 'already_inside' && (
            <Switch
              mt={{ base: 0, sm: 'lg' }}
              label={t('edit.trigger.inside')}
              description={t('edit.trigger.inside_hint')}
              checked={trigger.already_inside}
              onChange={(event) => set({ already_inside: event.currentTarget.checked })}
            />
          )}
        </SimpleGrid>
      )}
    </Stack>
  )
}

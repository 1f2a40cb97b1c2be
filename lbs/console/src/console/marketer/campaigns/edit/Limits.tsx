// How often and how much: caps, cool-down, stock, money, and who is held out to measure the effect.
import {
  ActionIcon,
  Button,
  Group,
  Input,
  NumberInput,
  Paper,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  TextInput,
  Title,
} from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { type Cap, DAY_S } from '../model'
import { TEXTS } from '../texts'
import { DurationField, type SectionProps, ShareField } from './fields'

const PER: readonly Cap['per'][] = ['campaign', 'brand', 'store', 'all']

export function Limits({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { caps, cool_down_s, stock, new_device_stock_share, holdout_share } = form.values
  return (
    <Stack gap="md">
      <Stack gap="xs">
        <Title order={3} size="h6">
          {t('edit.caps.title')}
        </Title>
        {caps.map((cap, index) => (
          <CapFields key={index} form={form} cap={cap} index={index} />
        ))}
        {caps.length === 0 && <Input.Description>{t('edit.caps.none')}</Input.Description>}
        <Group>
          <Button
            size="compact-sm"
            variant="light"
            leftSection={<IconPlus size={14} aria-hidden />}
            disabled={caps.length >= 10}
            onClick={() =>
              form.insertListItem('caps', { per: 'campaign', count: 1, window_s: DAY_S, days: null } satisfies Cap)
            }
          >
            {t('edit.caps.add')}
          </Button>
        </Group>
      </Stack>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <DurationField
          label={t('edit.limits.cool_down')}
          description={t('edit.limits.cool_down_hint')}
          value={cool_down_s}
          onChange={(seconds) => form.setFieldValue('cool_down_s', seconds ?? 0)}
          error={form.errors.cool_down_s}
        />
        <NumberInput
          label={t('edit.limits.stock')}
          description={t('edit.limits.stock_hint')}
          min={0}
          allowDecimal={false}
          placeholder={t('edit.limits.unlimited')}
          thousandSeparator=" "
          {...form.getInputProps('stock')}
          value={stock ?? ''}
        />
        {stock !== null && stock !== undefined && (
          <ShareField
            label={t('edit.limits.new_share')}
            description={t('edit.limits.new_share_hint')}
            value={new_device_stock_share}
            onChange={(share) => form.setFieldValue('new_device_stock_share', share)}
            error={form.errors.new_device_stock_share}
          />
        )}
        <ShareField
          label={t('edit.limits.holdout')}
          description={t('edit.limits.holdout_hint')}
          max={90}
          value={holdout_share}
          onChange={(share) => form.setFieldValue('holdout_share', share ?? 0)}
          error={form.errors.holdout_share}
        />
      </SimpleGrid>
      <BudgetFields form={form} />
    </Stack>
  )
}

type Period = 'rolling' | 'days' | 'ever'

function CapFields({ form, cap, index }: SectionProps & { cap: Cap; index: number }) {
  const { t } = useTranslation(TEXTS)
  const at = `caps.${index}`
  const period: Period = cap.window_s != null ? 'rolling' : cap.days != null ? 'days' : 'ever'
  const set = (changed: Partial<Cap>) => form.setFieldValue(at, { ...cap, ...changed })
  return (
    <Paper withBorder p="sm" radius="sm">
      <Group align="flex-end" gap="sm">
        <NumberInput
          label={t('edit.caps.count')}
          w={110}
          min={1}
          allowDecimal={false}
          {...form.getInputProps(`${at}.count`)}
        />
        <Select
          label={t('edit.caps.per')}
          w={190}
          allowDeselect={false}
          data={PER.map((per) => ({ value: per, label: t(`edit.caps.per_${per}`) }))}
          {...form.getInputProps(`${at}.per`)}
        />
        <Select
          label={t('edit.caps.period')}
          w={170}
          allowDeselect={false}
          data={(['rolling', 'days', 'ever'] as const).map((one) => ({ value: one, label: t(`edit.caps.${one}`) }))}
          value={period}
          onChange={(chosen) =>
            set({ window_s: chosen === 'rolling' ? DAY_S : null, days: chosen === 'days' ? 1 : null })
          }
        />
        {period === 'rolling' && (
          <div style={{ width: 190 }}>
            <DurationField
              label={t('edit.caps.window')}
              value={cap.window_s}
              onChange={(seconds) => set({ window_s: seconds ?? DAY_S })}
              error={form.errors[`${at}.window_s`]}
            />
          </div>
        )}
        {period === 'days' && (
          <NumberInput
            label={t('edit.caps.days_count')}
            w={120}
            min={1}
            max={366}
            allowDecimal={false}
            {...form.getInputProps(`${at}.days`)}
          />
        )}
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t('edit.caps.remove')}
          onClick={() => form.removeListItem('caps', index)}
        >
          <IconTrash size={18} aria-hidden />
        </ActionIcon>
      </Group>
      {form.errors[at] && <Input.Error mt={4}>{form.errors[at]}</Input.Error>}
    </Paper>
  )
}

const MONEY = ['total', 'per_store', 'per_day'] as const

function BudgetFields({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { budget, offer } = form.values
  return (
    <Stack gap="xs">
      <Switch
        label={t('edit.budget.title')}
        description={t('edit.budget.hint')}
        checked={budget !== null && budget !== undefined}
        onChange={(event) =>
          form.setFieldValue(
            'budget',
            event.currentTarget.checked
              ? { currency: offer.currency ?? 'EUR', total: null, per_store: null, per_day: null }
              : null,
          )
        }
      />
      {budget && (
        <SimpleGrid cols={{ base: 1, xs: 2, sm: 4 }}>
          <TextInput
            label={t('edit.offer.currency')}
            maxLength={3}
            {...form.getInputProps('budget.currency')}
            onChange={(event) => form.setFieldValue('budget.currency', event.currentTarget.value.toUpperCase())}
          />
          {MONEY.map((name) => (
            <NumberInput
              key={name}
              label={t(`edit.budget.${name}`)}
              min={0}
              decimalScale={2}
              placeholder={t('edit.limits.unlimited')}
              {...form.getInputProps(`budget.${name}`)}
              value={budget[name] ?? ''}
            />
          ))}
        </SimpleGrid>
      )}
      {budget && offer.kind !== 'amount' && offer.max_cost == null && (
        <Input.Description>{t('edit.budget.needs_cost')}</Input.Description>
      )}
    </Stack>
  )
}

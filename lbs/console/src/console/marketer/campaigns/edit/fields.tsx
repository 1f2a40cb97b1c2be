// Fields that several sections of the editor have.
import { Chip, Group, Input, NativeSelect, NumberInput, type NumberInputProps, Text } from '@mantine/core'
import { type UseFormReturnType } from '@mantine/form'
import { type ReactNode, useId, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { DAY_S, type Draft, HOUR_S, MINUTE_S, type Weekday, WEEKDAYS } from '../model'
import { TEXTS } from '../texts'
import { dayName } from '../words'

export type DraftForm = UseFormReturnType<Draft>
export interface SectionProps {
  form: DraftForm
}

const UNITS = { s: 1, min: MINUTE_S, h: HOUR_S, d: DAY_S } as const
type Unit = keyof typeof UNITS

/** The largest unit that tells the time in whole numbers; minutes to begin with. */
function unitOf(seconds: number, units: readonly Unit[]): Unit {
  const whole = units.filter((unit) => seconds % UNITS[unit] === 0)
  return (seconds > 0 ? whole.at(-1) : units.find((unit) => unit === 'min')) ?? units[0] ?? 's'
}

interface DurationProps {
  label: string
  description?: ReactNode
  /** Seconds; null and '' say nothing. */
  value: number | string | null | undefined
  onChange: (seconds: number | null) => void
  units?: readonly Unit[]
  error?: ReactNode
  placeholder?: string
  required?: boolean
}

/** A length of time as a number and its unit. */
export function DurationField(props: DurationProps) {
  const { label, description, value, onChange, units = ['min', 'h', 'd'], error, placeholder, required = false } = props
  const { t } = useTranslation(TEXTS)
  const id = useId()
  const seconds = value === null || value === undefined || value === '' ? null : Number(value)
  const [unit, setUnit] = useState<Unit>(() => unitOf(seconds ?? 0, units))
  return (
    <Input.Wrapper id={id} label={label} description={description} error={error} required={required}>
      <Group gap={6} wrap="nowrap" mt={4}>
        <NumberInput
          id={id}
          flex={1}
          min={0}
          decimalScale={2}
          error={Boolean(error)}
          {...(placeholder === undefined ? {} : { placeholder })}
          value={seconds === null ? '' : seconds / UNITS[unit]}
          onChange={(amount) => onChange(amount === '' ? null : Number(amount) * UNITS[unit])}
        />
        <NativeSelect
          aria-label={t('edit.unit_of', { label })}
          w={104}
          value={unit}
          data={units.map((one) => ({ value: one, label: t(`unit.${one}`) }))}
          onChange={(event) => {
            const chosen = event.currentTarget.value as Unit
            setUnit(chosen)
            if (seconds !== null) onChange((seconds / UNITS[unit]) * UNITS[chosen])
          }}
        />
      </Group>
    </Input.Wrapper>
  )
}

/** A share of one, told in percent. */
export function ShareField({
  value,
  onChange,
  ...more
}: Omit<NumberInputProps, 'value' | 'onChange'> & {
  value: number | string | null | undefined
  onChange: (share: number | null) => void
}) {
  return (
    <NumberInput
      min={0}
      max={100}
      suffix=" %"
      decimalScale={1}
      {...more}
      value={value === null || value === undefined || value === '' ? '' : Math.round(Number(value) * 1000) / 10}
      onChange={(percent) => onChange(percent === '' ? null : Number(percent) / 100)}
    />
  )
}

/** Which days of the week. */
export function DayChips({
  label,
  value,
  onChange,
  single = false,
  error,
}: {
  label: string
  value: readonly Weekday[]
  onChange: (days: Weekday[]) => void
  single?: boolean
  error?: ReactNode
}) {
  const { i18n } = useTranslation()
  const id = useId()
  const toggle = (day: Weekday) => {
    if (single) return onChange([day])
    onChange(WEEKDAYS.filter((one) => (one === day ? !value.includes(one) : value.includes(one))))
  }
  return (
    <div role="group" aria-labelledby={id}>
      <Text id={id} size="sm" fw={500} mb={2}>
        {label}
      </Text>
      <Group gap={4}>
        {WEEKDAYS.map((day) => (
          <Chip
            key={day}
            size="xs"
            radius="sm"
            checked={value.includes(day)}
            onChange={() => toggle(day)}
            aria-label={dayName(i18n.language, day, 'long')}
          >
            {dayName(i18n.language, day)}
          </Chip>
        ))}
      </Group>
      {error && <Input.Error mt={4}>{error}</Input.Error>}
    </div>
  )
}

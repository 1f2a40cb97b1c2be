import { Paper, Stack, Switch } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { type Consents, PURPOSES, type Purpose } from './device'

interface Props {
  value: Consents
  onChange: (purpose: Purpose, granted: boolean) => void
  disabled?: boolean
}

/** One switch a purpose, each with what it means. */
export function ConsentSwitches({ value, onChange, disabled }: Props) {
  const { t } = useTranslation('app')
  return (
    <Stack gap="sm">
      {PURPOSES.map((purpose) => (
        <Paper key={purpose} withBorder p="md">
          <Switch
            labelPosition="left"
            size="md"
            label={t(`consent.${purpose}.title`)}
            description={t(`consent.${purpose}.means`)}
            checked={value[purpose]}
            disabled={disabled ?? false}
            onChange={(event) => onChange(purpose, event.currentTarget.checked)}
            styles={{ body: { justifyContent: 'space-between' }, label: { fontWeight: 600 } }}
          />
        </Paper>
      ))}
    </Stack>
  )
}

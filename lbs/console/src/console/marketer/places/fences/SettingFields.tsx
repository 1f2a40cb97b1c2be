import { NumberInput, SegmentedControl, SimpleGrid, Stack, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { PROFILES, SETTINGS, type Setting } from './profiles'

export type Settings = Partial<Record<Setting, number>>

interface Props {
  profile: 'standard' | 'plain'
  settings: Settings
  onChange: (profile: 'standard' | 'plain', settings: Settings) => void
  faults: Record<string, string>
}

/** The profile of a fence, and where it differs from it. An empty field is as the profile says. */
export function SettingFields({ profile, settings, onChange, faults }: Props) {
  const { t } = useTranslation('places')
  return (
    <Stack gap="xs">
      <SegmentedControl
        aria-label={t('fence.profile')}
        value={profile}
        onChange={(value) => onChange(value as Props['profile'], settings)}
        data={[
          { value: 'standard', label: t('profile.standard') },
          { value: 'plain', label: t('profile.plain') },
        ]}
      />
      <Text size="xs" c="dimmed">
        {t(`profile_hint.${profile}` as never)}
      </Text>
      <SimpleGrid cols={2} spacing="xs">
        {SETTINGS.map((name) => (
          <NumberInput
            key={name}
            size="xs"
            label={t(`setting.${name}.label` as never)}
            description={t(`setting.${name}.hint` as never)}
            placeholder={String(PROFILES[profile][name])}
            suffix={name.endsWith('_s') ? ' s' : name.endsWith('_m') ? ' m' : ''}
            min={0}
            {...(name === 'min_confidence' ? { max: 1, step: 0.05 } : {})}
            value={settings[name] ?? ''}
            error={faults[`settings.${name}`]}
            onChange={(value) => {
              const others = Object.entries(settings).filter(([other]) => other !== name)
              onChange(profile, Object.fromEntries(typeof value === 'number' ? [...others, [name, value]] : others))
            }}
          />
        ))}
      </SimpleGrid>
    </Stack>
  )
}

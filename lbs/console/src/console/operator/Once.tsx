import { Alert, Button, CopyButton, Group, Stack, Text, Textarea } from '@mantine/core'
import { IconCheck, IconCopy, IconEyeOff } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import './texts'

interface Props {
  label: string
  text: string
  note: ReactNode
  close: () => void
}

/** A secret at the only moment when it is shown. */
export function Once({ label, text, note, close }: Props) {
  const { t } = useTranslation('operator')
  return (
    <Stack>
      <Alert color="yellow" icon={<IconEyeOff aria-hidden />}>
        {note}
      </Alert>
      <Secret label={label} text={text} />
      <Group justify="flex-end">
        <Button onClick={close}>{t('once.kept')}</Button>
      </Group>
    </Stack>
  )
}

export function Secret({ label, text }: { label: string; text: string }) {
  const { t } = useTranslation('operator')
  return (
    <Stack gap="xs">
      <Textarea
        label={label}
        value={text}
        readOnly
        autosize
        minRows={1}
        onFocus={(event) => event.currentTarget.select()}
        styles={{ input: { fontFamily: 'ui-monospace, monospace', wordBreak: 'break-all' } }}
      />
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Group gap="sm">
            <Button
              variant="light"
              leftSection={copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}
              onClick={copy}
            >
              {t('once.copy')}
            </Button>
            <Text size="sm" role="status">
              {copied && t('once.copied')}
            </Text>
          </Group>
        )}
      </CopyButton>
    </Stack>
  )
}

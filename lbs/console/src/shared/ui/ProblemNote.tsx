import { Alert, Button, List, Text } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { Problem } from '../api/client'

/** What an error means, in the reader's words where we have them, else in the API's. */
export function useWords() {
  const { t, i18n } = useTranslation('shared')
  return (error: unknown): string => {
    if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error)
    const known = `problem.${error.slug}`
    return i18n.exists(known, { ns: 'shared' }) ? t(known as never, { id: error.requestId ?? '–' }) : error.message
  }
}

/** Says what went wrong, field by field if the API did, and offers to try again. */
export function ProblemNote({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation('shared')
  const words = useWords()
  const faults = error instanceof Problem ? error.errors : []
  return (
    <Alert role="alert" color="red" icon={<IconAlertTriangle aria-hidden />} title={t('problem.title')}>
      <Text size="sm">{words(error)}</Text>
      {faults.length > 0 && (
        <List size="sm" mt="xs">
          {faults.map((fault) => (
            <List.Item key={`${fault.where} ${fault.message}`}>
              <b>{fault.where.replace(/^body\./, '')}</b>: {fault.message}
            </List.Item>
          ))}
        </List>
      )}
      {retry && (
        <Button mt="sm" size="xs" variant="light" color="red" onClick={retry}>
          {t('retry')}
        </Button>
      )}
    </Alert>
  )
}

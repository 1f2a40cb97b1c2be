import { Alert, Button, Group, Stack } from '@mantine/core'
import { IconCheck } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import type { Schemas } from '@/shared/api/client'
import { Counts } from './Counts'
import type { Kind } from './mapping'
import { Outcome } from './Preview'

/** What came of an import. */
export function Result({ kind, report, again }: { kind: Kind; report: Schemas['ImportReport']; again: () => void }) {
  const { t } = useTranslation('places')
  return (
    <Stack>
      <Alert role="status" color="teal" icon={<IconCheck aria-hidden />} title={t('imports.done')}>
        {t('imports.done_what', { count: report.rows })}
      </Alert>
      <Counts report={report} />
      <Outcome kind={kind} report={report} />
      <Group>
        <Button component={Link} to={`/${kind}`}>
          {t(`imports.see_${kind}` as never)}
        </Button>
        <Button variant="default" onClick={again}>
          {t('imports.again')}
        </Button>
      </Group>
    </Stack>
  )
}

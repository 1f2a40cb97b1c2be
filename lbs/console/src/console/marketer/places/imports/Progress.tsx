import { Progress as Bar, Stack, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import type { Import } from './useImport'

/** How far a file is. */
export function Progress({ found }: { found: Import | null }) {
  const { t } = useTranslation('places')
  const format = useFormat()
  const state = found?.state ?? 'sending'
  const share = found?.total ? Math.min(1, found.done / found.total) : null
  return (
    <Stack gap={4}>
      <Text size="sm" role="status">
        {t(`imports.state.${state}` as never)} {share !== null && format.share(share)}
      </Text>
      <Bar
        value={share === null ? 100 : share * 100}
        striped={share === null}
        animated={share === null}
        aria-label={t('imports.progress')}
      />
    </Stack>
  )
}

import { SimpleGrid } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import type { Schemas } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Figure } from '@/shared/ui/Figure'

/** What becomes of the rows, in figures. */
export function Counts({ report }: { report: Schemas['ImportReport'] }) {
  const { t } = useTranslation('places')
  const format = useFormat()
  const { created, updated, unchanged, duplicates, refused_count, fences } = report
  const also = (count: number | undefined) =>
    count === undefined ? undefined : t('imports.fences_too', { count, number: format.number(count) })
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }}>
      <Figure label={t('imports.created')} value={format.number(created)} note={also(fences?.created)} />
      <Figure label={t('imports.updated')} value={format.number(updated)} note={also(fences?.updated)} />
      <Figure label={t('imports.unchanged')} value={format.number(unchanged)} note={also(fences?.unchanged)} />
      <Figure label={t('imports.duplicates')} value={format.number(duplicates)} note={t('imports.duplicates_why')} />
      <Figure label={t('imports.refused')} value={format.number(refused_count)} />
    </SimpleGrid>
  )
}

import { Select, SimpleGrid, Text, Title } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import type { Schemas } from '@/shared/api/client'
import { assign, FIELDS, IGNORED, isNameable, type Kind, type Mapping } from './mapping'

const AUTO = 'auto'
const LEFT_OUT = 'ignored'

interface Props {
  kind: Kind
  columns: readonly Schemas['UnderstoodColumn'][]
  mapping: Mapping
  onChange: (mapping: Mapping) => void
}

/** How each column was understood, and what it shall be instead. */
export function Columns({ kind, columns, mapping, onChange }: Props) {
  const { t } = useTranslation('places')
  if (columns.length === 0) return null
  const named = (field: string) => t(`field.${field}` as never)
  return (
    <>
      <Title order={3} size="h6" mt="md">
        {t('imports.columns')}
      </Title>
      <Text size="xs" c="dimmed" mb="xs">
        {t('imports.columns_hint')}
      </Text>
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3, lg: 4 }} spacing="xs">
        {columns.map(({ column, field, use }) => {
          const set = mapping[column]
          const found =
            use === 'field' && field !== null
              ? named(field)
              : t(use === 'attribute' ? 'imports.attribute' : 'imports.left_out')
          return (
            <Select
              key={column}
              size="xs"
              label={column}
              allowDeselect={false}
              disabled={!isNameable(column)}
              value={set === undefined ? AUTO : set === IGNORED ? LEFT_OUT : set}
              onChange={(value) =>
                onChange(assign(mapping, column, value === AUTO ? null : value === LEFT_OUT ? IGNORED : value))
              }
              data={[
                { value: AUTO, label: set === undefined ? found : t('imports.auto') },
                { value: LEFT_OUT, label: t('imports.leave_out') },
                ...FIELDS[kind].map((name) => ({ value: name, label: named(name) })),
              ]}
            />
          )
        })}
      </SimpleGrid>
    </>
  )
}

// Choosing places from a list; the small map shows the same, and takes clicks.
import { Box, Button, Checkbox, Group, ScrollArea, Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import type { Geometry } from 'geojson'
import { lazy, Suspense, useDeferredValue, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useFormat } from '@/shared/format'
import { TEXTS } from '../texts'

const PlacesMap = lazy(() => import('./PlacesMap'))

export interface Place {
  id: string
  name: string
  /** A second line: what tells places of one name apart. */
  more: string
  brand: string | null
  categories: readonly string[]
  /** What a search looks in, in small letters. */
  words: string
  geometry: Geometry
}

/** Rows drawn at once; more are found by searching. */
const SHOWN = 100

interface Props {
  places: readonly Place[]
  chosen: ReadonlySet<string>
  onChange: (ids: string[]) => void
}

const sorted = (words: Iterable<string>) => [...new Set(words)].sort((a, b) => a.localeCompare(b))

export function PlacePicker({ places, chosen, onChange }: Props) {
  const { t } = useTranslation(TEXTS)
  const f = useFormat()
  const [text, setText] = useState('')
  const [brand, setBrand] = useState<string | null>(null)
  const [category, setCategory] = useState<string | null>(null)
  const [only, setOnly] = useState(false)
  const typed = text.trim().toLocaleLowerCase()
  const wanted = useDeferredValue(typed)
  const brands = useMemo(() => sorted(places.flatMap((place) => place.brand ?? [])), [places])
  const categories = useMemo(() => sorted(places.flatMap((place) => place.categories)), [places])
  const found = useMemo(
    () =>
      places.filter(
        (place) =>
          (wanted === '' || place.words.includes(wanted)) &&
          (brand === null || place.brand === brand) &&
          (category === null || place.categories.includes(category)) &&
          (!only || chosen.has(place.id)),
      ),
    [places, wanted, brand, category, only, chosen],
  )
  const toggle = (id: string) => onChange(chosen.has(id) ? [...chosen].filter((one) => one !== id) : [...chosen, id])
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      <Stack gap="xs">
        <TextInput
          aria-label={t('edit.where.search')}
          placeholder={t('edit.where.search')}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        {(brands.length > 0 || categories.length > 0) && (
          <Group gap="xs" grow>
            <Select
              aria-label={t('edit.brand')}
              placeholder={t('edit.where.any_brand')}
              data={brands}
              value={brand}
              onChange={setBrand}
              searchable
              clearable
              limit={50}
            />
            <Select
              aria-label={t('edit.where.category')}
              placeholder={t('edit.where.any_category')}
              data={categories}
              value={category}
              onChange={setCategory}
              searchable
              clearable
              limit={50}
            />
          </Group>
        )}
        <Group gap="xs" justify="space-between">
          <Text size="sm" fw={600} role="status">
            {t('edit.where.chosen', { count: chosen.size, n: f.number(chosen.size) })}
          </Text>
          <Group gap={4}>
            <Button
              size="compact-xs"
              variant="light"
              disabled={found.length === 0 || wanted !== typed}
              onClick={() => onChange([...new Set([...chosen, ...found.map((place) => place.id)])])}
            >
              {t('edit.where.add_found', { count: found.length, n: f.number(found.length) })}
            </Button>
            <Button
              size="compact-xs"
              variant="subtle"
              color="gray"
              disabled={chosen.size === 0}
              onClick={() => onChange([])}
            >
              {t('edit.where.clear')}
            </Button>
          </Group>
        </Group>
        <Checkbox
          size="xs"
          label={t('edit.where.only_chosen')}
          checked={only}
          onChange={(event) => setOnly(event.currentTarget.checked)}
        />
        <ScrollArea.Autosize mah={260} type="auto" viewportProps={{ tabIndex: 0, 'aria-label': t('edit.where.list') }}>
          <Stack gap={6} component="ul" m={0} p={4} style={{ listStyle: 'none' }}>
            {found.slice(0, SHOWN).map((place) => (
              <li key={place.id}>
                <Checkbox
                  size="sm"
                  checked={chosen.has(place.id)}
                  onChange={() => toggle(place.id)}
                  label={place.name}
                  description={place.more || undefined}
                />
              </li>
            ))}
          </Stack>
          {found.length > SHOWN && (
            <Text size="xs" c="dimmed" p={4}>
              {t('edit.where.more', { n: f.number(found.length - SHOWN) })}
            </Text>
          )}
          {found.length === 0 && (
            <Text size="sm" c="dimmed" p={4}>
              {t('edit.where.nothing')}
            </Text>
          )}
        </ScrollArea.Autosize>
      </Stack>
      <Box mih={300}>
        <Suspense>
          <PlacesMap places={found} chosen={chosen} onToggle={toggle} />
        </Suspense>
      </Box>
    </SimpleGrid>
  )
}

import { Button, Group, JsonInput, NumberInput, Stack, TagsInput, TextInput } from '@mantine/core'
import { useForm } from '@mantine/form'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { faultsOf } from '../faults'
import type { Store, StoreBody } from '../queries'

interface Place {
  lat: number
  lng: number
}
interface Props {
  store: Store | null
  place: Place | null
  onPlace: (place: Place | null) => void
  saving: boolean
  error: unknown
  onSave: (values: StoreBody) => void
  onCancel: () => void
}

const TEXTS = ['timezone', 'brand', 'address', 'phone', 'url', 'opening_hours'] as const

export function StoreForm({ store, place, onPlace, saving, error, onSave, onCancel }: Props) {
  const { t } = useTranslation(['places', 'shared'])
  const form = useForm({
    initialValues: {
      external_id: store?.external_id ?? '',
      name: store?.name ?? '',
      lat: (place?.lat ?? '') as number | string,
      lng: (place?.lng ?? '') as number | string,
      categories: store?.categories ?? [],
      attributes: store && Object.keys(store.attributes).length > 0 ? JSON.stringify(store.attributes, null, 2) : '',
      timezone: store?.timezone ?? '',
      brand: store?.brand ?? '',
      address: store?.address ?? '',
      phone: store?.phone ?? '',
      url: store?.url ?? '',
      opening_hours: store?.opening_hours ?? '',
    },
    validate: {
      lat: (value) => (value === '' ? t('store.place_needed') : null),
      lng: (value) => (value === '' ? t('store.place_needed') : null),
      attributes: (value) => (value.trim() === '' || isObject(value) ? null : t('store.attributes_wrong')),
    },
  })
  const { setValues, setErrors } = form
  // a click on the map fills in the fields
  useEffect(() => {
    if (place) setValues({ lat: place.lat, lng: place.lng })
  }, [place, setValues])
  useEffect(() => {
    setErrors(faultsOf(error))
  }, [error, setErrors])
  const typed = (name: 'lat' | 'lng') => (value: number | string) => {
    form.setFieldValue(name, value)
    const next = { lat: form.values.lat, lng: form.values.lng, [name]: value }
    if (typeof next.lat === 'number' && typeof next.lng === 'number') onPlace({ lat: next.lat, lng: next.lng })
  }
  const submit = form.onSubmit((values) =>
    onSave({
      external_id: values.external_id,
      name: values.name,
      lat: Number(values.lat),
      lng: Number(values.lng),
      categories: values.categories,
      attributes: values.attributes.trim() === '' ? {} : JSON.parse(values.attributes),
      ...Object.fromEntries(TEXTS.map((name) => [name, values[name].trim() || null])),
    }),
  )
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label={t('name')} required {...form.getInputProps('name')} />
        <TextInput
          label={t('external_id')}
          description={t('external_id_hint')}
          required
          readOnly={store !== null}
          variant={store ? 'filled' : 'default'}
          {...form.getInputProps('external_id')}
        />
        <Group grow align="flex-start">
          <NumberInput
            label={t('lat')}
            required
            min={-90}
            max={90}
            decimalScale={7}
            hideControls
            {...form.getInputProps('lat')}
            onChange={typed('lat')}
          />
          <NumberInput
            label={t('lng')}
            required
            min={-180}
            max={180}
            decimalScale={7}
            hideControls
            {...form.getInputProps('lng')}
            onChange={typed('lng')}
          />
        </Group>
        <Group grow align="flex-start">
          <TextInput label={t('store.brand')} {...form.getInputProps('brand')} />
          <TagsInput label={t('store.categories')} {...form.getInputProps('categories')} />
        </Group>
        <TextInput label={t('store.address')} {...form.getInputProps('address')} />
        <TextInput
          label={t('store.opening_hours')}
          description={t('store.opening_hours_hint')}
          placeholder="Mo-Sa 09:00-18:00; PH off"
          {...form.getInputProps('opening_hours')}
        />
        <TextInput
          label={t('store.timezone')}
          description={t('store.timezone_hint')}
          placeholder="Europe/Helsinki"
          {...form.getInputProps('timezone')}
        />
        <Group grow align="flex-start">
          <TextInput label={t('store.phone')} type="tel" {...form.getInputProps('phone')} />
          <TextInput label={t('store.url')} inputMode="url" {...form.getInputProps('url')} />
        </Group>
        <JsonInput
          label={t('store.attributes')}
          description={t('store.attributes_hint')}
          autosize
          minRows={2}
          {...form.getInputProps('attributes')}
        />
        {error !== null && <ProblemNote error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onCancel}>
            {t('shared:cancel')}
          </Button>
          <Button type="submit" loading={saving}>
            {t('shared:save')}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

// A shape by keyboard: a centre and a radius, or corners as text.
import { Group, NumberInput, SegmentedControl, Stack, Text, Textarea } from '@mantine/core'
import { type KeyboardEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fromText, MAX_RADIUS_M, MIN_RADIUS_M, type Place, type Shape, toText, UnreadableShape } from './shape'

interface Props {
  shape: Shape | null
  onShape: (shape: Shape) => void
}

export function ShapeFields({ shape, onShape }: Props) {
  const { t } = useTranslation('places')
  const [kind, setKind] = useState<Shape['kind']>(shape?.kind ?? 'circle')
  const given = JSON.stringify(shape)
  return (
    <Stack gap="xs">
      <SegmentedControl
        size="xs"
        aria-label={t('editor.typed_kind')}
        value={kind}
        onChange={(value) => setKind(value as Shape['kind'])}
        data={[
          { value: 'circle', label: t('fence.circle') },
          { value: 'area', label: t('fence.area') },
        ]}
      />
      {kind === 'circle' ? (
        <CircleFields key={given} circle={shape?.kind === 'circle' ? shape : null} onShape={onShape} />
      ) : (
        <AreaField key={given} area={shape?.kind === 'area' ? shape : null} onShape={onShape} />
      )}
      <Text size="xs" c="dimmed">
        {t('editor.typed_hint')}
      </Text>
    </Stack>
  )
}

type Typed = Record<keyof Place | 'radius', number | string>

/** What is typed holds when the field is left, or with Enter. */
function CircleFields({
  circle,
  onShape,
}: { circle: Extract<Shape, { kind: 'circle' }> | null } & Pick<Props, 'onShape'>) {
  const { t } = useTranslation('places')
  const [typed, setTyped] = useState<Typed>({
    lat: circle?.center.lat ?? '',
    lng: circle?.center.lng ?? '',
    radius: circle?.radiusM ?? '',
  })
  const commit = () => {
    const { lat, lng, radius } = typed
    if (typeof lat !== 'number' || typeof lng !== 'number' || typeof radius !== 'number') return
    if (circle?.center.lat === lat && circle.center.lng === lng && circle.radiusM === radius) return
    onShape({ kind: 'circle', center: { lat, lng }, radiusM: radius })
  }
  const field = (name: keyof Typed) => ({
    value: typed[name],
    onChange: (value: number | string) => setTyped((before) => ({ ...before, [name]: value })),
    onBlur: commit,
    onKeyDown: onEnter(commit),
    hideControls: true,
    size: 'sm',
  })
  return (
    <Group grow align="flex-start" gap="xs">
      <NumberInput label={t('lat')} min={-90} max={90} decimalScale={7} {...field('lat')} />
      <NumberInput label={t('lng')} min={-180} max={180} decimalScale={7} {...field('lng')} />
      <NumberInput
        label={t('fence.radius')}
        min={MIN_RADIUS_M}
        max={MAX_RADIUS_M}
        decimalScale={1}
        suffix=" m"
        {...field('radius')}
      />
    </Group>
  )
}

function AreaField({ area, onShape }: { area: Extract<Shape, { kind: 'area' }> | null } & Pick<Props, 'onShape'>) {
  const { t } = useTranslation('places')
  const first = area ? toText(area) : ''
  const [text, setText] = useState(first)
  const [fault, setFault] = useState<UnreadableShape | null>(null)
  const commit = () => {
    if (text.trim() === '' || text === first) return setFault(null)
    try {
      onShape(fromText(text))
      setFault(null)
    } catch (error) {
      if (!(error instanceof UnreadableShape)) throw error
      setFault(error)
    }
  }
  return (
    <Textarea
      label={t('editor.corners')}
      description={t('editor.corners_hint')}
      placeholder={'60.1690, 24.9300\n60.1690, 24.9400\n60.1650, 24.9400'}
      autosize
      minRows={4}
      maxRows={10}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      spellCheck={false}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={commit}
      error={fault && t(`editor.unreadable.${fault.reason}` as never, { text: fault.text.slice(0, 60) })}
    />
  )
}

const onEnter = (commit: () => void) => (event: KeyboardEvent) => {
  if (event.key !== 'Enter') return
  event.preventDefault()
  commit()
}

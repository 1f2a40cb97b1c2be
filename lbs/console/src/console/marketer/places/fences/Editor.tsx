import '../texts'
import { Accordion, Button, Group, Skeleton, Stack, Text, TextInput } from '@mantine/core'
import { useDebouncedValue, useHotkeys } from '@mantine/hooks'
import { notifications } from '@mantine/notifications'
import { type FormEvent, lazy, Suspense, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate, useParams, useSearchParams } from 'react-router'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { faultsOf } from '../faults'
import { type Fence, saveFence, type Store, useBounds, useFence, useFencesOf, useStore, useWrite } from '../queries'
import { MAP_HEIGHT, Split, TALL_MAP } from '../Split'
import { useTall } from '../useTall'
import type { Tool } from './Draw'
import { useHistory } from './history'
import { PreviewNote } from './PreviewNote'
import { PROFILES } from './profiles'
import { crossingOf, usePreview } from './preview'
import { SettingFields, type Settings } from './SettingFields'
import { ShapeFields } from './ShapeFields'
import { StoreSelect } from './StoreSelect'
import { boundsOf, fromView, isDrawable, outlineOf, type Place, type Shape, toBody } from './shape'
import { Toolbar } from './Toolbar'

const DrawMap = lazy(() => import('./DrawMap'))

/** Proposed about a store. */
const USUAL_RADIUS_M = 80
const PREVIEW_AFTER_MS = 150

/** A fence is made (`?store=` says for which store) or changed. */
export default function FenceEditor() {
  const { fenceId = null } = useParams()
  const [params] = useSearchParams()
  const fence = useFence(fenceId)
  const store = useStore(fenceId === null ? params.get('store') : null)
  if (fenceId !== null) return <Asked query={fence}>{(found) => <Editor fence={found} store={null} />}</Asked>
  if (params.get('store') === null) return <Editor fence={null} store={null} />
  return <Asked query={store}>{(found) => <Editor fence={null} store={found} />}</Asked>
}

function Editor({ fence, store }: { fence: Fence | null; store: Store | null }) {
  const { t } = useTranslation(['places', 'shared'])
  const navigate = useNavigate()
  const tall = useTall()
  const bounds = useBounds()
  const before = fence ? fromView(fence) : null
  const history = useHistory<Shape | null>(before ?? (store && proposed(store)))
  const shape = history.now
  const [tool, setTool] = useState<Tool>(shape === null ? 'circle' : 'select')
  const [adding, setAdding] = useState(false)
  const [opensAt] = useState(() => (shape ? boundsOf([shape]) : null))
  const [asked] = useDebouncedValue(shape, PREVIEW_AFTER_MS)
  const preview = usePreview(asked)
  const beforePreview = usePreview(before)
  const form = useFields(fence, store)
  const save = useWrite(saveFence, (saved) => {
    notifications.show({ message: t('saved', { name: saved.name ?? saved.external_id }) })
    void navigate(`/fences/${saved.fence_id}`)
  })
  const faults = faultsOf(save.error)
  useHotkeys([
    ['mod+Z', () => history.undo?.()],
    ['mod+shift+Z', () => history.redo?.()],
  ])
  const wrong = preview.isError ? crossingOf(preview.error) : null
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (shape === null) return
    save.mutate({ fenceId: fence?.fence_id ?? null, values: { ...form.body, ...toBody(shape) } })
  }
  const near: Place | null = nearOf(shape, bounds.data ?? null)
  return (
    <Page
      title={fence ? t('fence.edit', { name: fence.name ?? fence.external_id }) : t('fences.new')}
      lead={store ? t('fence.of', { name: store.name }) : undefined}
    >
      <Split
        map={
          <>
            <Toolbar
              tool={tool}
              onTool={setTool}
              undo={history.undo}
              redo={history.redo}
              clear={shape === null ? null : () => history.set(null)}
              adding={shape?.kind === 'area' && tool !== 'circle' ? adding : null}
              onAdding={setAdding}
            />
            <Suspense fallback={<Skeleton height={tall ? TALL_MAP : MAP_HEIGHT} />}>
              <DrawMap
                label={t('editor.map')}
                height={tall ? `calc(${TALL_MAP} - 60px)` : MAP_HEIGHT}
                bounds={opensAt ?? bounds.data ?? null}
                layers={{ stores: true, fences: true }}
                tool={tool}
                shape={shape}
                adding={adding}
                onShape={history.set}
                onDrawn={() => setTool('select')}
                cells={preview.isError || shape === null ? [] : (preview.data?.cells ?? [])}
                marked={[
                  ...(before ? [outlineOf(before, { as: 'before' as const })] : []),
                  ...(shape && !isDrawable(shape) ? [outlineOf(shape, { as: 'now' as const })] : []),
                  ...(wrong
                    ? [
                        {
                          type: 'Feature' as const,
                          properties: { as: 'wrong' as const },
                          geometry: { type: 'Point' as const, coordinates: [wrong.lng, wrong.lat] },
                        },
                      ]
                    : []),
                ]}
              />
            </Suspense>
            <Text size="xs" c="dimmed" mt={4}>
              {t(`tool_hint.${shape && !isDrawable(shape) ? 'holes' : tool}` as never)}
              {before && ` ${t('editor.before_hint')}`}
            </Text>
          </>
        }
        side={
          <form onSubmit={submit}>
            <Stack gap="sm">
              <PreviewNote
                shape={shape}
                preview={preview}
                fenceId={fence?.fence_id ?? null}
                minConfidence={form.settings.min_confidence ?? PROFILES[form.profile].min_confidence}
                beforeM2={beforePreview.data?.area_m2 ?? null}
              />
              <ShapeFields key={shape?.kind ?? 'none'} shape={shape} onShape={history.set} />
              <TextInput
                label={t('name')}
                value={form.name}
                onChange={(event) => form.setName(event.currentTarget.value)}
                error={faults.name}
              />
              <TextInput
                label={t('external_id')}
                description={t('external_id_hint')}
                required
                readOnly={fence !== null}
                variant={fence ? 'filled' : 'default'}
                value={form.externalId}
                onChange={(event) => form.setExternalId(event.currentTarget.value)}
                error={faults.external_id}
              />
              <StoreSelect value={form.storeId} onChange={form.setStoreId} near={near} error={faults.store_id} />
              <Accordion variant="contained" chevronPosition="left">
                <Accordion.Item value="settings">
                  <Accordion.Control>{t('fence.settings')}</Accordion.Control>
                  <Accordion.Panel>
                    <SettingFields
                      profile={form.profile}
                      settings={form.settings}
                      onChange={form.setSettings}
                      faults={faults}
                    />
                  </Accordion.Panel>
                </Accordion.Item>
              </Accordion>
              <Text size="xs" c="dimmed">
                {t('editor.effective')}
              </Text>
              {save.isError && <ProblemNote error={save.error} />}
              <Group justify="flex-end">
                <Button
                  variant="default"
                  onClick={() =>
                    void navigate(fence ? `/fences/${fence.fence_id}` : store ? `/stores/${store.store_id}` : '/fences')
                  }
                >
                  {t('shared:cancel')}
                </Button>
                <Button type="submit" loading={save.isPending} disabled={shape === null || preview.isError}>
                  {t('shared:save')}
                </Button>
              </Group>
            </Stack>
          </form>
        }
      />
    </Page>
  )
}

/** All of a fence but its shape. */
function useFields(fence: Fence | null, store: Store | null) {
  const others = useFencesOf(store?.store_id ?? null)
  const [name, setName] = useState(fence?.name ?? '')
  const [typedId, setExternalId] = useState<string | null>(fence?.external_id ?? null)
  const [storeId, setStoreId] = useState(fence?.store_id ?? store?.store_id ?? null)
  const [profile, setProfile] = useState<'standard' | 'plain'>(fence?.profile === 'plain' ? 'plain' : 'standard')
  const [settings, setSettings] = useState<Settings>(fence?.settings ?? {})
  const externalId = typedId ?? (store && others.data ? freeId(store.external_id, others.data) : '')
  return {
    name,
    setName,
    externalId,
    setExternalId,
    storeId,
    setStoreId,
    profile,
    settings,
    setSettings: (profile: 'standard' | 'plain', settings: Settings) => {
      setProfile(profile)
      setSettings(settings)
    },
    body: { external_id: externalId, name: name.trim() || null, store_id: storeId, profile, settings },
  }
}

/** The store's own external id, as imports have it, or with a number behind it. */
function freeId(wanted: string, taken: readonly Fence[]): string {
  const ids = new Set(taken.map((fence) => fence.external_id))
  let number = 1
  while (ids.has(number === 1 ? wanted : `${wanted}-${number}`)) number += 1
  return number === 1 ? wanted : `${wanted}-${number}`
}

const proposed = (store: Store): Shape => ({
  kind: 'circle',
  center: { lat: store.lat, lng: store.lng },
  radiusM: USUAL_RADIUS_M,
})

function nearOf(shape: Shape | null, box: readonly [number, number, number, number] | null): Place | null {
  const [west, south, east, north] = (shape && boundsOf([shape])) ?? box ?? []
  if (west === undefined || south === undefined || east === undefined || north === undefined) return null
  // a search near a place that moves by a little is the same search
  const tidy = (degrees: number) => Math.round(degrees * 100) / 100
  return { lat: tidy((south + north) / 2), lng: tidy(east < west ? east : (west + east) / 2) }
}

import '../texts'
import { Button, Stack, Switch, Text, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconPlus, IconSearch } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { useMay } from '@/console/session'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { LazyPlaceMap } from '../LazyPlaceMap'
import { type Fence, useBounds, useFences } from '../queries'
import { Rows } from '../Rows'
import { MAP_HEIGHT, Split, TALL_MAP } from '../Split'
import { useTall } from '../useTall'
import { FenceRow } from './FenceRow'
import { boundsOf, fromView, outlineOf } from './shape'

/** The tenant's fences: a map and a list. */
export default function Fences() {
  const { t } = useTranslation(['places', 'shared'])
  const may = useMay()
  const navigate = useNavigate()
  const tall = useTall()
  const [params, setParams] = useSearchParams()
  const q = params.get('q') ?? ''
  const cells = params.get('cells') === '1'
  const [asked] = useDebouncedValue(q, 200)
  const bounds = useBounds()
  const fences = useFences(asked)
  const [pointed, setPointed] = useState<Fence | null>(null)
  const found = fences.data?.pages.flatMap((page) => page.items) ?? []
  const listed = asked === '' ? (pointed ? [pointed] : []) : found
  const change = (name: string, value: string) => {
    const next = new URLSearchParams(params)
    if (value) next.set(name, value)
    else next.delete(name)
    setParams(next, { replace: true })
  }
  const box = (asked !== '' && boundsOf(found.map(fromView))) || bounds.data || boundsOf(found.map(fromView))
  return (
    <Page
      title={t('fences.title')}
      lead={t('fences.lead')}
      actions={
        may('create_fence') && (
          <>
            <Button component={Link} to="/imports?kind=fences" variant="default">
              {t('import')}
            </Button>
            <Button component={Link} to="/fences/new" leftSection={<IconPlus size={16} aria-hidden />}>
              {t('fences.new')}
            </Button>
          </>
        )
      }
    >
      <Split
        map={
          <LazyPlaceMap
            label={t('fences.map')}
            height={tall ? TALL_MAP : MAP_HEIGHT}
            bounds={box}
            layers={{ stores: false, fences: true, cells }}
            onFence={(fenceId) => navigate(`/fences/${fenceId}`)}
            marked={listed.map((fence) => outlineOf(fromView(fence), { as: 'listed' as const }))}
          />
        }
        side={
          <Stack gap="sm">
            <TextInput
              aria-label={t('shared:search')}
              placeholder={t('fences.search_hint')}
              type="search"
              leftSection={<IconSearch size={16} aria-hidden />}
              value={q}
              onChange={(event) => change('q', event.currentTarget.value)}
            />
            <Switch
              size="sm"
              label={t('fences.cells')}
              description={t('fences.cells_hint')}
              checked={cells}
              onChange={(event) => change('cells', event.currentTarget.checked ? '1' : '')}
            />
            <Asked query={fences}>
              {() =>
                found.length === 0 ? (
                  <Text size="sm" role="status">
                    {t(asked === '' ? 'fences.none' : 'fences.nothing')}
                  </Text>
                ) : (
                  <Rows label={t('fences.title')}>
                    {found.map((fence) => (
                      <FenceRow
                        key={fence.fence_id}
                        fence={fence}
                        onPoint={(on) => setPointed((before) => (on ? fence : before === fence ? null : before))}
                      />
                    ))}
                  </Rows>
                )
              }
            </Asked>
            {fences.hasNextPage && (
              <Button variant="default" loading={fences.isFetchingNextPage} onClick={() => void fences.fetchNextPage()}>
                {t('shared:more')}
              </Button>
            )}
          </Stack>
        }
      />
    </Page>
  )
}

// What a shape would become, in words: its size, its cells, and what one should know before saving it.
import { Alert, Anchor, List, Stack, Text } from '@mantine/core'
import { IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react'
import type { UseQueryResult } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { Problem } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import type { Preview } from './preview'
import { understood } from './said'
import type { Shape } from './shape'

interface Props {
  shape: Shape | null
  preview: UseQueryResult<Preview>
  /** The fence that is being edited: it overlaps itself. */
  fenceId: string | null
  /** How sure one must be, by the profile and its settings. */
  minConfidence: number
  /** The area before, in m². */
  beforeM2: number | null
}

const MOST_NAMED = 5
/** The API tells of so many. */
const MOST_TOLD = 20

export function PreviewNote({ shape, preview, fenceId, minConfidence, beforeM2 }: Props) {
  const { t } = useTranslation('places')
  const format = useFormat()
  if (shape === null) return <Text size="sm">{t('editor.empty')}</Text>
  if (preview.isError) return <Refused error={preview.error} />
  if (preview.data === undefined) return <Text size="sm">…</Text>
  const { area_m2, cells, resolution, overlaps, best_confidence, warnings } = preview.data
  const others = overlaps.filter((fence) => fence.fence_id !== fenceId)
  const number = overlaps.length < MOST_TOLD ? String(others.length) : `${others.length}+`
  return (
    <Stack gap="xs">
      <Text size="sm" role="status">
        {t('editor.area', { area: format.area(area_m2) })}
        {beforeM2 !== null && ` (${t('editor.area_before', { area: format.area(beforeM2) })})`}
        {' · '}
        {t('editor.cells', { count: cells.length, resolution })}
      </Text>
      {best_confidence < minConfidence && (
        <Alert role="note" color="orange" icon={<IconAlertTriangle aria-hidden />} p="xs" title={t('editor.small')}>
          <Text size="sm">
            {t('editor.small_why', { best: format.share(best_confidence), needed: format.share(minConfidence) })}
          </Text>
        </Alert>
      )}
      {warnings.map((warning) => (
        <Alert role="note" key={warning} color="orange" icon={<IconAlertTriangle aria-hidden />} p="xs">
          <Text size="sm">
            <Words message={warning} />
          </Text>
        </Alert>
      ))}
      {others.length > 0 && (
        <Alert role="note" color="blue" icon={<IconInfoCircle aria-hidden />} p="xs">
          <Text size="sm">{t('editor.overlaps', { count: others.length, number })}</Text>
          <List size="sm">
            {others.slice(0, MOST_NAMED).map((fence) => (
              <List.Item key={fence.fence_id}>
                <Anchor
                  component={Link}
                  to={`/fences/${fence.fence_id}`}
                  target="_blank"
                  size="sm"
                  c="inherit"
                  td="underline"
                >
                  {fence.name ?? fence.external_id}
                </Anchor>
              </List.Item>
            ))}
            {others.length > MOST_NAMED && (
              <List.Item>
                {t('editor.and_more', {
                  count: others.length - MOST_NAMED,
                  more: overlaps.length < MOST_TOLD ? '' : '+',
                })}
              </List.Item>
            )}
          </List>
        </Alert>
      )}
    </Stack>
  )
}

function Refused({ error }: { error: unknown }) {
  if (!(error instanceof Problem) || understood(error.detail) === null) return <ProblemNote error={error} />
  return (
    <Alert role="alert" color="red" icon={<IconAlertTriangle aria-hidden />} p="xs">
      <Text size="sm">
        <Words message={error.detail} />
      </Text>
    </Alert>
  )
}

/** In the reader's language where we have words for it. */
function Words({ message }: { message: string }) {
  const { t } = useTranslation('places')
  const said = understood(message)
  if (said === null) return <>{message}</>
  if (said.kind === 'crosses') {
    return <>{t('said.crosses', { at: `${said.at.lat.toFixed(5)}, ${said.at.lng.toFixed(5)}` })}</>
  }
  return <>{t(`said.${said.kind}` as never)}</>
}

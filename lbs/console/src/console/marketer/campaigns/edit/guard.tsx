// What was typed is not lost: leaving asks first, and a copy in the browser outlives a crash or a session that ended.
import { Button, Group, Modal, Text } from '@mantine/core'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { useBlocker } from 'react-router'
import { type Draft } from '../model'
import { TEXTS } from '../texts'

export interface Kept {
  draft: Draft
  at: string
  version: number | null
}

const place = (key: string) => `lbs.campaign.${key}`

export function kept(key: string): Kept | null {
  try {
    return JSON.parse(localStorage.getItem(place(key)) ?? 'null')
  } catch {
    return null
  }
}

export const forget = (key: string) => localStorage.removeItem(place(key))

const SETTLE_MS = 800

/** Keeps a copy of what is not saved. */
export function useKeeping(key: string, draft: Draft, version: number | null, dirty: boolean) {
  useEffect(() => {
    if (!dirty) return
    const timer = setTimeout(() => {
      const copy: Kept = { draft, at: new Date().toISOString(), version }
      try {
        localStorage.setItem(place(key), JSON.stringify(copy))
      } catch {
        // a full store only costs the copy
      }
    }, SETTLE_MS)
    return () => clearTimeout(timer)
  }, [key, draft, version, dirty])
}

interface Props {
  /** Read when somebody wants to leave. */
  unsaved: () => boolean
  dirty: boolean
  onDiscard: () => void
}

export function LeaveGuard({ unsaved, dirty, onDiscard }: Props) {
  const { t } = useTranslation([TEXTS, 'shared'])
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => currentLocation.pathname !== nextLocation.pathname && unsaved(),
  )
  useEffect(() => {
    if (!dirty) return
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', ask)
    return () => window.removeEventListener('beforeunload', ask)
  }, [dirty])
  const stay = () => blocker.reset?.()
  return (
    <Modal
      opened={blocker.state === 'blocked'}
      onClose={stay}
      title={t('guard.title')}
      closeButtonProps={{ 'aria-label': t('shared:close') }}
    >
      <Text size="sm">{t('guard.text')}</Text>
      <Group mt="md" justify="flex-end">
        <Button
          variant="subtle"
          color="red"
          onClick={() => {
            onDiscard()
            blocker.proceed?.()
          }}
        >
          {t('guard.leave')}
        </Button>
        <Button data-autofocus onClick={stay}>
          {t('guard.stay')}
        </Button>
      </Group>
    </Modal>
  )
}

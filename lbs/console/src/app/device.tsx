// This phone as the API knows it: the shop's key, then a device with a token of its own.
import { useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { apiWith, body, type Schemas } from '@/shared/api/client'
import { localeOf } from '@/shared/format'
import { Loading } from '@/shared/ui/Asked'
import { type Device, keep } from './keep'
import { unsubscribe } from './push'

export type Purpose = Schemas['ConsentBody']['purpose']
export const PURPOSES: readonly Purpose[] = ['location', 'push', 'analytics']
/** Of the texts that are agreed to, `consent.*` in the locales: raise it when their meaning changes. */
export const CONSENT_VERSION = '2026-11'
export type Consents = Record<Purpose, boolean>

export const consentsOf = (given: Partial<Consents>) =>
  (Object.entries(given) as [Purpose, boolean][]).map(([purpose, granted]) => ({
    purpose,
    granted,
    version: CONSENT_VERSION,
    at: new Date().toISOString(),
  }))

interface Mine {
  device: Device | null
  register: (consents: Consents, language: string) => Promise<void>
  /** Everything here is forgotten; what the API holds is left to whoever calls. */
  forget: () => Promise<void>
}

const Context = createContext<(Mine & { key: string | null; setKey: (key: string) => Promise<void> }) | null>(null)

export function useMine() {
  const mine = useContext(Context)
  if (mine === null) throw new Error('useMine outside of ThisPhone')
  return mine
}

/** The device, where there is one. */
export function useDevice(): Device {
  const { device } = useMine()
  if (device === null) throw new Error('useDevice before there is one')
  return device
}

/** The API as this device, or before there is one as anybody with the app. */
export function useApi() {
  const { device, key } = useMine()
  const { i18n } = useTranslation()
  const credential = device?.token ?? key ?? ''
  return useMemo(() => {
    const api = apiWith(credential)
    api.use({
      onRequest({ request }) {
        // offers in the language of the app, which need not be the browser's
        request.headers.set('Accept-Language', localeOf(i18n.language))
        return request
      },
    })
    return api
  }, [credential, i18n.language])
}

/** The key of a link that a shop shows: `/app/?key=lbs_pk_...`, or what somebody typed of it. */
export function keyIn(text: string): string | null {
  return /lbs_pk_[\w-]+/.exec(text)?.[0] ?? null
}

export function ThisPhone({ children }: { children: ReactNode }) {
  const queries = useQueryClient()
  const [state, setState] = useState<{ key: string | null; device: Device | null } | null>(null)

  useEffect(() => {
    void begin().then(setState)
  }, [])

  const setKey = useCallback(async (key: string) => {
    await keep.set('key', key)
    setState((before) => ({ device: before?.device ?? null, key }))
  }, [])

  const key = state?.key ?? null
  const register = useCallback(
    async (consents: Consents, language: string) => {
      const made = await body(
        apiWith(key ?? '').POST('/v1/devices', {
          body: {
            consents: consentsOf(consents),
            locale: localeOf(language),
            timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
          },
        }),
      )
      const device = { id: made.device_id, token: made.device_token }
      await keep.set('device', device)
      // or the browser may throw away what it holds of us when its disk is full
      void navigator.storage?.persist?.()
      setState({ key, device })
    },
    [key],
  )

  const forget = useCallback(async () => {
    await unsubscribe()
    await keep.clear()
    if (key) await keep.set('key', key)
    queries.clear()
    setState({ key, device: null })
  }, [key, queries])

  const mine = useMemo(
    () => ({ key, device: state?.device ?? null, setKey, register, forget }),
    [key, state?.device, setKey, register, forget],
  )
  if (state === null) return <Loading />
  return <Context.Provider value={mine}>{children}</Context.Provider>
}

async function begin() {
  const here = new URL(window.location.href)
  const given = keyIn(here.searchParams.get('key') ?? '')
  if (given) {
    const known = await keep.get('key')
    // a link of another shop: what was known belongs to the one before
    if (known !== undefined && known !== given) await keep.clear()
    await keep.set('key', given)
    here.searchParams.delete('key')
    window.history.replaceState(null, '', here)
  }
  return { key: (await keep.get('key')) ?? null, device: (await keep.get('device')) ?? null }
}

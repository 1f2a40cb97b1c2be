// Web Push of this browser: whether it can, whether it does, and beginning and ending it.
import { apiWith, body } from '@/shared/api/client'
import type { Device } from './keep'

export type PushState = 'unsupported' | 'denied' | 'off' | 'on'

const able = () => 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window

export function startWorker(): void {
  if ('serviceWorker' in navigator && import.meta.env.PROD) {
    void navigator.serviceWorker.register('/app/service-worker.js', { scope: '/app/' })
  }
}

async function subscription(): Promise<PushSubscription | null> {
  const registration = able() ? await navigator.serviceWorker.getRegistration('/app/') : undefined
  return (await registration?.pushManager.getSubscription()) ?? null
}

export async function pushState(): Promise<PushState> {
  if (!able()) return 'unsupported'
  if (Notification.permission === 'denied') return 'denied'
  return (await subscription()) ? 'on' : 'off'
}

/** Asks the person, then the browser's push service, then tells the API. Throws what the push service says. */
export async function subscribe(device: Device): Promise<PushState> {
  if (!able()) return 'unsupported'
  if ((await Notification.requestPermission()) !== 'granted') return pushState()
  const api = apiWith(device.token)
  const { public_key: applicationServerKey } = await body(api.GET('/v1/push/key'))
  const { pushManager } = await navigator.serviceWorker.ready
  const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey })
  await api.PATCH('/v1/devices/{device_id}', {
    params: { path: { device_id: device.id } },
    body: { channels: [{ type: 'webpush', address: made.toJSON() as Record<string, unknown> }], consents: [] },
  })
  return 'on'
}

export async function unsubscribe(device?: Device): Promise<void> {
  await (await subscription())?.unsubscribe().catch(() => undefined)
  if (device) {
    await apiWith(device.token).PATCH('/v1/devices/{device_id}', {
      params: { path: { device_id: device.id } },
      body: { channels: [], consents: [] },
    })
  }
}

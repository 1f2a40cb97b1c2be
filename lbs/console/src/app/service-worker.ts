// The app's service worker: the shell without a network, and messages while the app is closed.
import { keep } from './keep'
import { flush, note, type ReceiptEvent, sender } from './receipts'
import { isNew, type Pushed, pageOf, read } from './shown'

declare const self: ServiceWorkerGlobalScope
/** What the app needs to begin, written by the build: changed files make another worker. */
declare const __SHELL__: readonly string[]

const SCOPE = '/app/'
const ASSETS = '/console/assets/'
const CACHE = 'lbs-app'

self.addEventListener('install', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE)
      await cache.addAll([SCOPE, ...__SHELL__])
      await self.skipWaiting()
    })(),
  )
})

self.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE)
      // files of earlier builds; what is no part of the shell (the map) comes back when it is asked for
      for (const request of await cache.keys()) {
        const { pathname } = new URL(request.url)
        if (pathname !== SCOPE && !__SHELL__.includes(pathname)) await cache.delete(request)
      }
      await self.clients.claim()
    })(),
  )
})

self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== self.location.origin) return
  if (request.mode === 'navigate') event.respondWith(page(request))
  else if (url.pathname.startsWith(ASSETS) || url.pathname.startsWith(SCOPE)) event.respondWith(asset(request))
})

/** The newest page of the app, else the one that is kept: it knows by itself what to show for which address. */
async function page(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  try {
    const response = await fetch(request)
    if (response.ok) await cache.put(SCOPE, response.clone())
    return response
  } catch {
    return (await cache.match(SCOPE)) ?? Response.error()
  }
}

/** Named by its content, so that what is kept is right for ever. */
async function asset(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  const kept = await cache.match(request)
  if (kept) return kept
  const response = await fetch(request)
  if (response.ok && new URL(request.url).pathname.startsWith(ASSETS)) await cache.put(request, response.clone())
  return response
}

self.addEventListener('push', (event) => {
  event.waitUntil(show(read(event.data?.text())))
})

async function show(message: Pushed | null) {
  if (message === null || !(await isNew(keep, message.id))) return
  await note(keep, message.id, 'delivered')
  await self.registration.showNotification(message.title, {
    body: message.body,
    tag: String(message.data.decision_id ?? message.id),
    icon: '/app/icon-192.png',
    badge: '/app/badge.png',
    data: message,
  })
  await tell(message.id, 'displayed')
}

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  const message = event.notification.data as Pushed
  event.waitUntil(Promise.all([open(pageOf(message)), tell(message.id, 'opened')]))
})

self.addEventListener('notificationclose', (event) => {
  event.waitUntil(tell((event.notification.data as Pushed).id, 'dismissed'))
})

async function tell(messageId: string, event: ReceiptEvent) {
  await note(keep, messageId, event)
  const device = await keep.get('device')
  // offline: the app tells it when it is opened next, or this worker with the next message
  if (device) await flush(keep, sender(device.token)).catch(() => undefined)
}

async function open(path: string) {
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const own = windows.find((client) => new URL(client.url).pathname.startsWith(SCOPE))
  if (!own) {
    await self.clients.openWindow(path)
    return
  }
  await own.focus()
  own.postMessage({ open: path })
}

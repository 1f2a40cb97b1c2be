// The browser's offer to install the app, kept until somebody asks for it.
import { useSyncExternalStore } from 'react'

interface InstallPrompt extends Event {
  prompt: () => Promise<{ outcome: 'accepted' | 'dismissed' }>
}

let offered: InstallPrompt | null = null
const listeners = new Set<() => void>()

function change(to: InstallPrompt | null) {
  offered = to
  for (const listener of listeners) listener()
}

export function catchInstallPrompt(): void {
  window.addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault()
    change(event as InstallPrompt)
  })
  window.addEventListener('appinstalled', () => change(null))
}

/** Asks the browser to install the app; null where it does not offer that, or where it is installed. */
export function useInstall(): (() => Promise<void>) | null {
  const prompt = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => offered,
  )
  if (prompt === null) return null
  return async () => {
    await prompt.prompt()
    change(null)
  }
}

import { createRoot } from 'react-dom/client'
import { addTexts } from '@/shared/i18n'
import { Providers } from '@/shared/Providers'
import { App } from './App'
import { catchInstallPrompt } from './install'
import { startWorker } from './push'

await addTexts('app', { en: () => import('./locales/en.json'), zh: () => import('./locales/zh.json') })
catchInstallPrompt()
startWorker()

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <Providers>
      <App />
    </Providers>,
  )
}

import { createRoot } from 'react-dom/client'
import { addTexts } from '@/shared/i18n'
import { Providers } from '@/shared/Providers'
import { App } from './App'
import { catchInstallPrompt } from './install'
import en from './locales/en.json'
import zh from './locales/zh.json'
import { startWorker } from './push'

addTexts('app', { en, zh })
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

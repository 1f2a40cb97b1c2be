import { createRoot } from 'react-dom/client'
import { addTexts } from '@/shared/i18n'
import { Providers } from '@/shared/Providers'
import { App } from './App'

await addTexts('console', { en: () => import('./locales/en.json'), zh: () => import('./locales/zh.json') })

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <Providers>
      <App />
    </Providers>,
  )
}

import { createRoot } from 'react-dom/client'
import { addTexts } from '@/shared/i18n'
import { Providers } from '@/shared/Providers'
import { App } from './App'
import en from './locales/en.json'
import zh from './locales/zh.json'

addTexts('console', { en, zh })

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <Providers>
      <App />
    </Providers>,
  )
}

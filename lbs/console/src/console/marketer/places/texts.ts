import { addTexts } from '@/shared/i18n'

await addTexts('places', { en: () => import('./locales/en.json'), zh: () => import('./locales/zh.json') })

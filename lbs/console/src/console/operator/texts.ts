import { addTexts } from '@/shared/i18n'

await addTexts('operator', { en: () => import('./locales/en.json'), zh: () => import('./locales/zh.json') })

// Texts of the campaign pages, loaded with the first of them.
import { addTexts } from '@/shared/i18n'

await addTexts('campaigns', { en: () => import('./locales/en.json'), zh: () => import('./locales/zh.json') })
export const TEXTS = 'campaigns'

// Texts of the campaign pages, loaded with the first of them.
import { addTexts } from '@/shared/i18n'
import en from './locales/en.json'
import zh from './locales/zh.json'

addTexts('campaigns', { en, zh })
export const TEXTS = 'campaigns'

import { addTexts } from '@/shared/i18n'
import en from './locales/en.json'
import zh from './locales/zh.json'

addTexts('operator', { en, zh })

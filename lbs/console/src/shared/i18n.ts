// Two languages, English and Chinese; each area of the pages brings its own texts when it is loaded.
import i18next, { type ResourceKey } from 'i18next'
import { initReactI18next } from 'react-i18next'
import en from './locales/en.json'
import zh from './locales/zh.json'

export const LANGUAGES = { en: 'English', zh: '简体中文' } as const
export type Language = keyof typeof LANGUAGES
const KEPT = 'lbs.language'

function preferred(): Language {
  const kept = localStorage.getItem(KEPT)
  for (const wanted of [...(kept ? [kept] : []), ...navigator.languages]) {
    const found = (Object.keys(LANGUAGES) as Language[]).find((language) => wanted.toLowerCase().startsWith(language))
    if (found) return found
  }
  return 'en'
}

i18next.on('languageChanged', (language) => {
  document.documentElement.lang = language === 'zh' ? 'zh-Hans' : language
})

i18next.use(initReactI18next).init({
  resources: { en: { shared: en }, zh: { shared: zh } },
  lng: preferred(),
  fallbackLng: 'en',
  defaultNS: 'shared',
  interpolation: { escapeValue: false },
  initAsync: false,
})

export function speak(language: Language) {
  localStorage.setItem(KEPT, language)
  void i18next.changeLanguage(language)
}

/** The texts of an area; called where the area's code is loaded, before anything of it is shown. */
export function addTexts(namespace: string, texts: Record<Language, ResourceKey>) {
  for (const language of Object.keys(LANGUAGES) as Language[]) {
    i18next.addResourceBundle(language, namespace, texts[language], true, true)
  }
}

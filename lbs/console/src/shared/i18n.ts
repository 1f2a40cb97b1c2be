// Two languages, English and Chinese; each area of the pages brings its own texts, of one language, when it is loaded.
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

type Texts = Record<Language, () => Promise<{ default: ResourceKey }>>

const areas = new Map<string, Texts>()

async function load(namespace: string, texts: Texts, language: Language) {
  if (i18next.hasResourceBundle(language, namespace)) return
  i18next.addResourceBundle(language, namespace, (await texts[language]()).default)
}

export async function speak(language: Language) {
  await Promise.all([...areas].map(([namespace, texts]) => load(namespace, texts, language)))
  localStorage.setItem(KEPT, language)
  await i18next.changeLanguage(language)
}

/** The texts of an area, in the one language that is spoken; awaited where the area's code is loaded. */
export async function addTexts(namespace: string, texts: Texts) {
  areas.set(namespace, texts)
  await load(namespace, texts, i18next.language as Language)
}

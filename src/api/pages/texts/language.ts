import type { IncomingMessage } from 'node:http'
import accepts from 'accepts'
import { en, type Texts } from './en.ts'
import { zhHans } from './zh-hans.ts'

/** The languages of the pages, by their tags in HTML. */
export const LANGUAGES = { en, 'zh-Hans': zhHans } satisfies Record<string, Texts>

export type Language = keyof typeof LANGUAGES

/** The tags of these languages in browsers. */
const TAGS: Record<string, Language> = {
  en: 'en',
  zh: 'zh-Hans',
  'zh-CN': 'zh-Hans',
  'zh-SG': 'zh-Hans',
  'zh-Hans': 'zh-Hans',
  'zh-Hans-CN': 'zh-Hans',
}

/** Returns the language that a browser prefers; English if it names none of ours. */
export function languageOf(request: IncomingMessage): Language {
  const tag = accepts(request).languages(Object.keys(TAGS))
  return (tag && TAGS[tag]) || 'en'
}

import type { App } from '../../app.ts'
import { type Html, html } from '../../core/text/html.ts'
import type { Language } from './texts/language.ts'

/** Returns the links to the documents that a new user has to accept, in the language of the page if possible. */
export function termsList({ registration }: App['config'], language: Language): Html {
  const byId = Map.groupBy(registration.terms, ({ id }) => id)
  const items = [...byId.values()].map((translations) => {
    const own = translations.filter((each) => baseOf(each.language) === baseOf(language))
    const shown = own.length > 0 ? own : translations
    const links = shown.map(
      ({ name, url, language: code }) =>
        html` <a href="${url}" hreflang="${code}" lang="${code}" target="_blank" rel="noopener">${name}</a>`,
    )
    return html`<li>${links}</li>`
  })
  return html`<ul>${items}</ul>`
}

function baseOf(language: string): string {
  return language.split('-')[0]!.toLowerCase()
}

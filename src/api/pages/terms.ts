import type { App } from '../../app.ts'
import { type Html, html } from '../../core/text/html.ts'
import { checkbox } from './form.ts'
import type { Visit } from './page.ts'
import type { Language } from './texts/language.ts'

/** Returns the documents that a new user has to accept, with the box for it; nothing if there are none. */
export function termsFields(
  config: App['config'],
  { texts: { register: text }, language, form }: Pick<Visit, 'texts' | 'language' | 'form'>,
): Html {
  if (config.registration.terms.length === 0) return html``
  const checked = form.has('accept')
  const accepted = checkbox(text.accept, { name: 'accept', value: 'yes', required: true, checked })
  return html`<p>${text.terms}</p>${termsList(config, language)}${accepted}`
}

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

import { type Html, html } from '../../core/text/html.ts'
import type { Visit } from './page.ts'

/** Returns a time as text in the reader's language. The server does not know the reader's time zone. */
export function momentText({ language, texts }: Pick<Visit, 'language' | 'texts'>, at: number): string {
  const format = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
  return texts.layout.moment(format.format(at))
}

/** Renders a time. */
export function moment(visit: Pick<Visit, 'language' | 'texts'>, at: number): Html {
  return html`<time datetime="${new Date(at).toISOString()}">${momentText(visit, at)}</time>`
}

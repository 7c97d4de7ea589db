import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { Mail } from '../../../infra/mail/mailer.ts'

/** The languages of mails, by their tags in HTML. */
export type MailLanguage = 'en' | 'zh-Hans'

/** A paragraph, a link with its label, or a list of names with values. */
export type MailPart = string | { link: string; label: string } | { facts: readonly (readonly [string, string])[] }

export type Letter = { subject: string; parts: readonly MailPart[] }

/** The job that sends a mail. */
export const SEND_MAIL = 'send_mail'

/** Returns the language of a stored tag; English for an unknown one. */
export function mailLanguage(tag: string | null | undefined): MailLanguage {
  return tag === 'zh-Hans' ? tag : 'en'
}

/** Composes a mail as text and as HTML. `id`: the same for a mail that may be sent twice. */
export function composeMail(
  { serverName }: Pick<App, 'serverName'>,
  { to, language, letter, id }: { to: string; language: MailLanguage; letter: Letter; id: string },
): Mail & { headers: Record<string, string> } {
  const { subject, parts } = letter
  return {
    to,
    subject,
    text: parts.map(textOf).join('\n\n').concat('\n'),
    html: html`<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><title>${subject}</title></head><body>
${parts.map(htmlOf)}</body></html>
`.text,
    headers: {},
    messageId: `<${id}@${serverName.replace(/:\d+$/, '')}>`,
  }
}

function textOf(part: MailPart): string {
  if (typeof part === 'string') return part
  return 'link' in part ? part.link : part.facts.map(([name, value]) => `${name}: ${value}`).join('\n')
}

function htmlOf(part: MailPart): Html {
  if (typeof part === 'string') return html`<p>${part}</p>\n`
  if ('link' in part) return html`<p><a href="${part.link}">${part.label}</a></p>\n`
  return html`<ul>${part.facts.map(([name, value]) => html`<li>${name}: ${value}</li>`)}</ul>\n`
}

import { type Html, html } from '../../../core/text/html.ts'
import type { Visit } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import {
  APPSERVICES_PATH,
  AUDIT_PATH,
  LOAD_PATH,
  MEDIA_PATH,
  NOTICES_PATH,
  REPORTS_PATH,
  TASKS_PATH,
  TOKENS_PATH,
  USERS_PATH,
} from './paths.ts'

/** The sections of the pages for administrators, in the order of the navigation. */
const SECTIONS = {
  overview: '/admin',
  load: LOAD_PATH,
  users: USERS_PATH,
  reports: REPORTS_PATH,
  media: MEDIA_PATH,
  tokens: TOKENS_PATH,
  notices: NOTICES_PATH,
  appservices: APPSERVICES_PATH,
  tasks: TASKS_PATH,
  audit: AUDIT_PATH,
} as const

export type AdminSection = keyof typeof SECTIONS & keyof Texts['admin']['sections']

/** Renders the links to all sections. */
export function adminNavigation({ texts }: Pick<Visit, 'texts'>, current: AdminSection): Html {
  const { sections, navigation } = texts.admin
  const items = Object.entries(SECTIONS).map(
    ([name, path]) =>
      html`<li><a href="${path}"${name === current ? html` aria-current="page"` : ''}>${sections[name as AdminSection]}</a></li>`,
  )
  return html`<nav class="sections" aria-label="${navigation}"><ul>${items}</ul></nav>\n`
}

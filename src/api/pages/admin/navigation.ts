import { type Html, html } from '../../../core/text/html.ts'
import type { Visit } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import {
  ALERTS_PATH,
  APPSERVICES_PATH,
  AUDIT_PATH,
  FEDERATION_PATH,
  LOAD_PATH,
  MEDIA_PATH,
  NOTICES_PATH,
  REPORTS_PATH,
  ROOMS_PATH,
  TASKS_PATH,
  TOKENS_PATH,
  USERS_PATH,
} from './paths.ts'

/** The sections of the pages for administrators, in the order of the navigation. */
const SECTIONS = {
  overview: '/admin',
  alerts: ALERTS_PATH,
  load: LOAD_PATH,
  users: USERS_PATH,
  rooms: ROOMS_PATH,
  reports: REPORTS_PATH,
  media: MEDIA_PATH,
  tokens: TOKENS_PATH,
  notices: NOTICES_PATH,
  federation: FEDERATION_PATH,
  appservices: APPSERVICES_PATH,
  tasks: TASKS_PATH,
  audit: AUDIT_PATH,
} as const

export type AdminSection = keyof typeof SECTIONS & keyof Texts['admin']['sections']

/** Renders the links to all sections: at the side, or on a phone in a menu. */
export function adminNavigation({ texts }: Pick<Visit, 'texts'>, current: AdminSection): Html {
  const { sections, navigation } = texts.admin
  const items = Object.entries(SECTIONS).map(
    ([name, path]) =>
      html`<li><a href="${path}"${name === current ? html` aria-current="page"` : ''}>${sections[name as AdminSection]}</a></li>`,
  )
  const links = html`<nav aria-label="${navigation}"><ul>${items}</ul></nav>`
  return html`<div class="sections">${links}</div>
<details class="sections-menu"><summary>${navigation}: ${sections[current]}</summary>${links}</details>
`
}

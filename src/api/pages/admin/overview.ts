import { html } from '../../../core/text/html.ts'
import { HEARTH_VERSION } from '../../../infra/hearth-version.ts'
import { countUsers, EVERYBODY } from '../../../storage/users/user-lists.ts'
import { adminPage } from './admin-page.ts'
import { facts, numberText } from './list.ts'
import { USERS_PATH } from './paths.ts'

/** What the server is, and how much it has. */
export const getOverviewPage = adminPage({
  method: 'GET',
  path: '/admin',
  section: 'overview',
  async handle(visit, app) {
    const { overview: words, sections } = visit.texts.admin
    const users = await countUsers(app.database, { ...EVERYBODY, deactivated: false })
    const body = html`${facts([
      [words.server, app.serverName],
      [words.version, `Hearth ${HEARTH_VERSION}`],
      [sections.users, html`<a href="${USERS_PATH}">${numberText(visit, users)}</a>`],
    ])}`
    return { title: sections.overview, body }
  },
})

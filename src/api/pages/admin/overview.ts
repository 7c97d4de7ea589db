import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { HEARTH_VERSION } from '../../../infra/hearth-version.ts'
import { type Alert, listRecentAlerts } from '../../../services/figures/keep-alerts.ts'
import { pageOfReports } from '../../../services/rooms/directory/handle-reports.ts'
import { listTasks } from '../../../storage/jobs/tasks.ts'
import { countUsers, EVERYBODY } from '../../../storage/users/user-lists.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { facts, numberText } from './list.ts'
import { ALERTS_PATH, REPORTS_PATH, TASKS_PATH, USERS_PATH } from './paths.ts'

const MOST_TASKS = 1000
const MOST_ALERTS = 20
const ANY_REPORT = { kind: null, state: null, roomId: null, reporter: null, reportedUser: null }

/** The version and size of the server, and the problems that administrators should look at. */
export const getOverviewPage = adminPage({
  method: 'GET',
  path: '/admin',
  section: 'overview',
  async handle(visit, app) {
    const { overview: words, sections } = visit.texts.admin
    const [users, needs] = await Promise.all([
      countUsers(app.database, { ...EVERYBODY, deactivated: false }),
      needsAttention(app, visit),
    ])
    const attention =
      needs.length === 0
        ? html`<p>${words.nothing}</p>`
        : html`<ul class="entries">${needs.map(({ path, text }) => html`<li><a href="${path}">${text}</a></li>`)}</ul>`
    const body = html`${facts([
      [words.server, app.serverName],
      [words.version, `Hearth ${HEARTH_VERSION}`],
      [sections.users, html`<a href="${USERS_PATH}">${numberText(visit, users)}</a>`],
    ])}
<section aria-labelledby="attention"><h2 id="attention">${words.attention}</h2>
${attention}</section>`
    return { title: sections.overview, body }
  },
})

type Need = { path: string; text: Html | string }

async function needsAttention(app: App, visit: AdminVisit): Promise<Need[]> {
  const { overview: words } = visit.texts.admin
  const filter = { action: null, resourceId: null, statuses: ['failed', 'active', 'scheduled'], until: null }
  const [alerts, { total: open }, tasks] = await Promise.all([
    listRecentAlerts(app, MOST_ALERTS),
    pageOfReports(app, { ...ANY_REPORT, state: 'open' }, { newestFirst: true, beyond: null, limit: 1 }),
    listTasks(app.database, filter, MOST_TASKS),
  ])
  const failed = tasks.filter(({ status }) => status === 'failed').length
  const running = tasks.length - failed
  return [
    ...alerts.filter(({ ended_ts }) => ended_ts === null).map(alertNeed),
    ...(open > 0 ? [{ path: REPORTS_PATH, text: words.openReports(open) }] : []),
    ...(failed > 0 ? [{ path: `${TASKS_PATH}?state=failed`, text: words.failedTasks(failed) }] : []),
    ...(running > 0 ? [{ path: TASKS_PATH, text: words.runningTasks(running) }] : []),
  ]
}

function alertNeed({ title, advice }: Alert): Need {
  return { path: ALERTS_PATH, text: html`<strong>${title}</strong><small>${advice}</small>` }
}

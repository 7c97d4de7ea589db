import { html } from '../../../core/text/html.ts'
import { type Alert, listRecentAlerts } from '../../../services/figures/keep-alerts.ts'
import { moment } from '../moment.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { badge, type Column, table } from './list.ts'
import { ALERTS_PATH } from './paths.ts'

const MOST = 100

/** Alerts with advice: those that hold, then those that have ended. */
export const getAlertsPage = adminPage({
  method: 'GET',
  path: ALERTS_PATH,
  section: 'alerts',
  async handle(visit, app) {
    const { alerts: words, sections } = visit.texts.admin
    const alerts = await listRecentAlerts(app, MOST)
    const body = html`<p>${app.config.alerts.enabled ? words.hint : words.disabled}</p>
${table(visit, { label: sections.alerts, columns: columnsOf(visit), rows: alerts })}`
    return { title: sections.alerts, body }
  },
})

function columnsOf(visit: AdminVisit): Column<Alert>[] {
  const { alerts: words } = visit.texts.admin
  return [
    { title: words.alert, cell: ({ title }) => html`<span class="text">${title}</span>` },
    { title: words.advice, cell: ({ advice }) => html`<span>${advice}</span>` },
    {
      title: words.state,
      cell: ({ ended_ts: at }) => (at === null ? badge(words.holds, 'bad') : badge(words.ended)),
    },
    { title: words.begun, cell: ({ begun_ts }) => moment(visit, begun_ts) },
    { title: words.end, cell: ({ ended_ts: at }) => (at === null ? '' : moment(visit, at)) },
  ]
}

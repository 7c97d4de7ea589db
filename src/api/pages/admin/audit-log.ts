import { z } from 'zod'
import { type Html, html } from '../../../core/text/html.ts'
import { listAudited } from '../../../services/users/administration/audit-log.ts'
import type { AuditRow } from '../../../storage/schema/administration.ts'
import { moment } from '../moment.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { type Column, keysetLinks, listForm, listLink, listQuery, ON_A_PAGE, table } from './list.ts'
import { AUDIT_PATH } from './paths.ts'
import { userLink } from './reports.ts'

const name = listQuery.shape.q

/** The audit log, the newest entries first. A page begins after the last entry of the page before. */
export const getAuditPage = adminPage({
  method: 'GET',
  path: AUDIT_PATH,
  section: 'audit',
  query: z.object({ actor: name, target: name, from: listQuery.shape.from }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { audit: words, sections } = texts.admin
    const found = await listAudited(app, {
      ...{ beyond: query.from || null, limit: ON_A_PAGE + 1, newestFirst: true },
      ...{ actor: query.actor || null, target: query.target || null },
    })
    const entries = found.slice(0, ON_A_PAGE)
    const next = found.length > ON_A_PAGE ? entries.at(-1)!.entry_nid : null
    const fields = [
      { name: 'actor', label: words.actor, value: query.actor },
      { name: 'target', label: words.target, value: query.target },
    ]
    const body = html`<p>${words.hint}</p>
${listForm(visit, { path: AUDIT_PATH, fields })}
${table(visit, { label: sections.audit, columns: columnsOf(visit), rows: entries })}
${keysetLinks(visit, { isFirst: query.from === 0, next, link: listLink(AUDIT_PATH, query) })}`
    return { title: sections.audit, body }
  },
})

function columnsOf(visit: AdminVisit): Column<AuditRow>[] {
  const { audit: words } = visit.texts.admin
  return [
    { title: words.time, cell: ({ acted_ts }) => moment(visit, acted_ts) },
    { title: words.actor, cell: ({ actor }) => userLink(actor) },
    { title: words.action, cell: ({ action }) => html`<code>${action}</code>` },
    { title: words.target, cell: ({ target }) => userLink(target ?? '') },
    { title: words.address, cell: ({ address }) => address ?? '' },
    { title: words.details, cell: ({ details }) => detailsOf(visit, details) },
  ]
}

function detailsOf({ texts }: AdminVisit, details: string): Html {
  if (details === '{}') return html``
  const text = JSON.stringify(JSON.parse(details), null, 1)
  return html`<details><summary>${texts.admin.audit.show}</summary><pre>${text}</pre></details>`
}

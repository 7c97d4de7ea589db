import { z } from 'zod'
import { type Html, html } from '../../../core/text/html.ts'
import { listTasks } from '../../../storage/jobs/tasks.ts'
import type { TaskRow } from '../../../storage/schema/administration.ts'
import { moment } from '../moment.ts'
import { doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { badge, type Column, listForm, listLink, listQuery, ON_A_PAGE, pageLinks, table } from './list.ts'
import { roomPath, TASKS_PATH } from './paths.ts'
import { userLink } from './reports.ts'

const STATES = ['all', 'scheduled', 'active', 'complete', 'failed', 'cancelled'] as const

/** Long work that administrators began, the newest first. */
export const getTasksPage = adminPage({
  method: 'GET',
  path: TASKS_PATH,
  section: 'tasks',
  query: listQuery
    .pick({ from: true, done: true })
    .extend({ state: z.enum(STATES).catch('all'), about: listQuery.shape.q }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { tasks: words, sections } = texts.admin
    const statuses = query.state === 'all' ? null : [query.state]
    const filter = { action: null, resourceId: query.about || null, statuses, until: null }
    const found = await listTasks(app.database, filter, ON_A_PAGE + 1, query.from)
    const tasks = found.slice(0, ON_A_PAGE)
    const options = STATES.map((value) => ({ value, text: words.states[value] }))
    const form = {
      fields: [{ name: 'about', label: words.about, value: query.about }],
      filters: [{ name: 'state', label: words.state, value: query.state, options }],
    }
    const page = { from: query.from, count: tasks.length, total: null, hasMore: found.length > ON_A_PAGE }
    const body = html`${doneNotice(visit, query.done)}
<p>${words.hint}</p>
${listForm(visit, { path: TASKS_PATH, ...form })}
${table(visit, { label: sections.tasks, columns: columnsOf(visit), rows: tasks })}
${pageLinks(visit, { ...page, link: listLink(TASKS_PATH, query) })}`
    return { title: sections.tasks, body }
  },
})

const LOOKS = { scheduled: 'plain', active: 'plain', complete: 'good', failed: 'bad', cancelled: 'plain' } as const

function columnsOf(visit: AdminVisit): Column<TaskRow>[] {
  const { tasks: words } = visit.texts.admin
  return [
    { title: words.action, cell: ({ action }) => html`<code>${action}</code>` },
    { title: words.about, cell: ({ resource_id: id }) => aboutOf(id) },
    { title: words.state, cell: ({ status }) => badge(words.states[status], LOOKS[status]) },
    { title: words.progress, cell: (task) => progressOf(task) },
    { title: words.begun, cell: ({ created_ts }) => moment(visit, created_ts) },
    { title: words.changed, cell: ({ changed_ts }) => moment(visit, changed_ts) },
  ]
}

function aboutOf(id: string | null): Html {
  if (id === null) return html``
  if (id.startsWith('!')) return html`<a href="${roomPath(id)}" class="id">${id}</a>`
  return userLink(id)
}

/** Numbers and texts of a result as they are; of lists and objects how many entries they have. */
function progressOf({ result, error }: TaskRow): Html {
  const entries = Object.entries(JSON.parse(result) as Record<string, unknown>)
  const shown = entries.map(([name, value]) => {
    const size = typeof value === 'object' && value !== null ? Object.keys(value).length : String(value)
    return html`<div class="text">${name.replaceAll('_', ' ')}: ${size}</div>`
  })
  return html`${error === null ? '' : html`<div class="text">${error}</div>`}${shown}`
}

import { z } from 'zod'
import { isRoomId } from '../../../core/ids.ts'
import { html } from '../../../core/text/html.ts'
import { listRefusedEvents, type RefusedEvent } from '../../../storage/rooms/timeline/refused-events.ts'
import { moment } from '../moment.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { badge, type Column, keysetLinks, listForm, listLink, listQuery, ON_A_PAGE, table } from './list.ts'
import { REFUSED_EVENTS_PATH, ROOMS_PATH, roomPath } from './paths.ts'
import { userLink } from './reports.ts'

const OUTCOMES = ['all', 'rejected', 'soft_failed'] as const

/** Events that this server refused, of a room or all, the newest first. */
export const getRefusedEventsPage = adminPage({
  method: 'GET',
  path: REFUSED_EVENTS_PATH,
  section: 'rooms',
  query: z.object({ room: listQuery.shape.q, outcome: z.enum(OUTCOMES).catch('all'), from: listQuery.shape.from }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { refused: words, sections } = texts.admin
    const roomId = isRoomId(query.room) ? query.room : null
    const wanted = {
      ...{ roomId, outcome: query.outcome === 'all' ? null : query.outcome },
      ...{ beyond: query.from || null, limit: ON_A_PAGE + 1 },
    }
    const isOfNoRoom = roomId === null && query.room !== ''
    const found = isOfNoRoom ? [] : await listRefusedEvents(app.database, wanted)
    const events = found.slice(0, ON_A_PAGE)
    const next = found.length > ON_A_PAGE ? events.at(-1)!.event_nid : null
    const options = OUTCOMES.map((value) => ({ value, text: words.outcomes[value] }))
    const form = {
      fields: [{ name: 'room', label: words.room, value: query.room }],
      filters: [{ name: 'outcome', label: words.outcome, value: query.outcome, options }],
    }
    const body = html`<p>${words.hint}</p>
${listForm(visit, { path: REFUSED_EVENTS_PATH, ...form })}
${table(visit, { label: words.title, columns: columnsOf(visit), rows: events })}
${keysetLinks(visit, { isFirst: query.from === 0, next, link: listLink(REFUSED_EVENTS_PATH, query) })}`
    const back = roomId
      ? { path: roomPath(roomId), label: roomId as string }
      : { path: ROOMS_PATH, label: sections.rooms }
    return { title: words.title, body, back }
  },
})

function columnsOf(visit: AdminVisit): Column<RefusedEvent>[] {
  const { refused: words } = visit.texts.admin
  return [
    { title: words.event, cell: ({ event_id: id }) => html`<span class="id">${id}</span>` },
    { title: words.sent, cell: ({ origin_server_ts: ts }) => moment(visit, ts) },
    { title: words.outcome, cell: ({ outcome }) => badge(words.outcomes[outcome]) },
    { title: words.reason, cell: ({ reason }) => html`<span class="text">${reason ?? ''}</span>` },
    { title: words.type, cell: ({ type }) => html`<code class="id">${type}</code>` },
    { title: words.sender, cell: ({ sender }) => userLink(sender) },
    { title: words.room, cell: ({ room_id: id }) => html`<a href="${roomPath(id)}" class="id">${id}</a>` },
  ]
}

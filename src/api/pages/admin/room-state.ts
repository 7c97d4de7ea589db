import { type Html, html } from '../../../core/text/html.ts'
import type { PeerComparison, PeerDifference } from '../../../services/federation/requests/compare-with-peer.ts'
import { CHECK_ROOM_STATE, findStateCheck } from '../../../services/membership/check-room-state.ts'
import type { StateDifference } from '../../../services/rooms/administration/compare-state.ts'
import { listTasks } from '../../../storage/jobs/tasks.ts'
import { ofRoom } from '../../admin/admin-fields.ts'
import { moment } from '../moment.ts'
import { actLinks, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { badge, type Column, facts, listQuery, numberText, table } from './list.ts'
import { ROOMS_PATH, roomPath } from './paths.ts'
import { userLink } from './reports.ts'

type Check = Awaited<ReturnType<typeof findStateCheck>>

/** The findings of the last check of a room's state. */
export const getRoomStatePage = adminPage({
  method: 'GET',
  path: `${ROOMS_PATH}/:roomId/state`,
  section: 'rooms',
  params: ofRoom,
  query: listQuery.pick({ done: true }),
  async handle(visit, app) {
    const { roomId } = visit.params
    const { roomState: words } = visit.texts.admin
    const wanted = { action: CHECK_ROOM_STATE, resourceId: roomId, statuses: null, until: null }
    const [task] = await listTasks(app.database, wanted, 1)
    const report = task
      ? reportOf(visit, await findStateCheck(app, task.task_id), task.created_ts)
      : html`<p>${words.never}</p>`
    const body = html`${doneNotice(visit, visit.query.done)}
<p>${words.hint}</p>
${report}
${actLinks(visit, [
  { act: 'checkState', path: roomPath(roomId, '/check-state') },
  { act: 'repairState', path: roomPath(roomId, '/repair-state'), isDangerous: true },
])}`
    return { title: words.title, body, back: { path: roomPath(roomId), label: roomId } }
  },
})

function reportOf(visit: AdminVisit, check: Check, begun: number): Html {
  const { roomState: words, tasks } = visit.texts.admin
  const count = (value: number | undefined) => (value === undefined ? undefined : numberText(visit, value))
  const isOver = check.status === 'complete'
  const result = !isOver ? undefined : check.is_right ? 'right' : check.is_repaired ? 'repaired' : 'wrong'
  const members = html`${(check.members ?? []).map((userId) => html`${userLink(userId)} `)}`
  return html`${facts([
    [tasks.begun, moment(visit, begun)],
    [tasks.state, badge(tasks.states[check.status], check.status === 'failed' ? 'bad' : 'plain')],
    [words.error, check.error ?? undefined],
    [words.result, result && badge(words.results[result], result === 'wrong' ? 'bad' : 'good')],
    [words.events, count(check.events)],
    [words.wrongEvents, count(check.wrong_events)],
    [words.differences, count(check.state_total)],
    [words.members, check.members_total ? members : count(check.members_total)],
    [words.summary, check.summary?.length ? check.summary.join(', ') : undefined],
  ])}
${check.state?.length ? table(visit, { label: words.differences, columns: ownColumns(visit), rows: check.state }) : ''}
${(check.peers ?? []).map((peer) => peerReport(visit, peer))}`
}

function peerReport(visit: AdminVisit, peer: PeerComparison): Html {
  const { roomState: words } = visit.texts.admin
  const number = (value: number) => numberText(visit, value)
  const { differences } = peer
  return html`<h2>${peer.server}</h2>
${facts([
  [words.error, peer.error ?? undefined],
  [words.comparedAt, peer.event_id ? id(peer.event_id) : undefined],
  [words.differences, peer.error === null ? number(peer.differences_total) : undefined],
  [words.missing, peer.error === null ? number(peer.missing_total) : undefined],
])}
${differences.length > 0 ? table(visit, { label: `${words.differences}: ${peer.server}`, columns: peerColumns(visit), rows: differences }) : ''}`
}

const id = (text: string | null) => (text === null ? html`–` : html`<span class="id">${text}</span>`)

function keyColumns(visit: AdminVisit): Column<{ type: string; state_key: string }>[] {
  const { roomState: words } = visit.texts.admin
  return [
    { title: words.type, cell: ({ type }) => html`<code class="id">${type}</code>` },
    { title: words.stateKey, cell: ({ state_key }) => html`<span class="id">${state_key}</span>` },
  ]
}

function ownColumns(visit: AdminVisit): Column<StateDifference>[] {
  const { roomState: words } = visit.texts.admin
  return [
    ...keyColumns(visit),
    { title: words.stored, cell: ({ stored }) => id(stored) },
    { title: words.recomputed, cell: ({ recomputed }) => id(recomputed) },
  ]
}

function peerColumns(visit: AdminVisit): Column<PeerDifference>[] {
  const { roomState: words } = visit.texts.admin
  return [
    ...keyColumns(visit),
    { title: words.ours, cell: ({ ours }) => id(ours) },
    { title: words.theirs, cell: ({ theirs }) => id(theirs) },
  ]
}

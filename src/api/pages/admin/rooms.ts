import { z } from 'zod'
import { isRoomId } from '../../../core/ids.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { type AdministeredRoomPage, listAdministeredRooms } from '../../../storage/rooms/administered-rooms.ts'
import type { RoomRow } from '../../../storage/schema/rooms.ts'
import type { Texts } from '../texts/en.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import {
  badge,
  type Column,
  listForm,
  listLink,
  listQuery,
  numberText,
  ON_A_PAGE,
  orderFilter,
  orderQuery,
  pageLinks,
  parseOrder,
  searchField,
  table,
} from './list.ts'
import { REFUSED_EVENTS_PATH, ROOMS_PATH, roomPath } from './paths.ts'

const GROUPS = { all: {}, public: { isPublic: true }, private: { isPublic: false }, empty: { isEmpty: true } }
const names = Object.keys(GROUPS) as (keyof typeof GROUPS)[]

/** The rooms that this server has. */
export const getRoomsPage = adminPage({
  method: 'GET',
  path: ROOMS_PATH,
  section: 'rooms',
  query: listQuery.omit({ done: true }).extend({
    group: z.enum(names).catch('all'),
    sort: orderQuery(['name', 'joined_members', 'joined_local_members', 'state_events'], '-joined_members'),
  }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { rooms: words, sections } = texts.admin
    const filter = { isPublic: null, isEmpty: null, ...GROUPS[query.group], term: query.q || null }
    const { rooms, total } = await listAdministeredRooms(app.database, filter, pageOf(query))
    const columns = columnsOf(visit)
    const link = listLink(ROOMS_PATH, query)
    const options = names.map((name) => ({ value: name, text: words.groups[name] }))
    const form = {
      fields: [searchField(visit, query.q, words.search)],
      filters: [
        { name: 'group', label: words.group, value: query.group, options },
        orderFilter(visit, { value: query.sort, columns }),
      ],
    }
    // Rooms that this server does not have can be blocked too.
    const unknown =
      total === 0 && isRoomId(query.q) ? html`<p><a href="${roomPath(query.q)}" class="id">${query.q}</a></p>` : html``
    const body = html`${listForm(visit, { path: ROOMS_PATH, ...form })}
${table(visit, { label: sections.rooms, columns, rows: rooms, order: query.sort, link })}
${unknown}
<p><a href="${REFUSED_EVENTS_PATH}">${texts.admin.refused.title}</a></p>
${pageLinks(visit, { from: query.from, count: rooms.length, total, link })}`
    return { title: sections.rooms, body }
  },
})

type Order = 'name' | 'joined_members' | 'joined_local_members' | 'state_events'

/** The list itself begins with the highest count, but with the first name. */
function pageOf({ sort, from }: { sort: Order | `-${Order}`; from: number }): AdministeredRoomPage {
  const { column: order, isDescending } = parseOrder(sort)
  return { order, isReversed: order === 'name' ? isDescending : !isDescending, from, limit: ON_A_PAGE }
}

function columnsOf(visit: AdminVisit): Column<RoomRow>[] {
  const { rooms: words } = visit.texts.admin
  const number = (value: number) => numberText(visit, value)
  return [
    { title: words.name, order: 'name', cell: (room) => roomLink(room) },
    { title: words.state, cell: (room) => html`${roomBadges(visit.texts, room)}` },
    {
      ...{ title: words.members, order: 'joined_members', isNumber: true },
      cell: ({ joined_members: count }) => number(count),
    },
    {
      ...{ title: words.localMembers, order: 'joined_local_members', isNumber: true },
      cell: ({ joined_local_members: count }) => number(count),
    },
    {
      ...{ title: words.stateEvents, order: 'state_events', isNumber: true },
      cell: ({ member_events, other_state_events }) => number(member_events + other_state_events),
    },
  ]
}

/** Renders a link to the page of a room, with its name, its alias or its ID. */
export function roomLink(room: Pick<RoomRow, 'room_id' | 'name'> & { canonical_alias: string | null }): Html {
  const { room_id: id, name, canonical_alias: alias } = room
  if (!name && !alias) return html`<a href="${roomPath(id)}" class="id">${id}</a>`
  return html`<a href="${roomPath(id)}"><bdi class="text">${name || alias!}</bdi></a><small class="id">${alias ?? id}</small>`
}

/** Renders what is special about a room. */
export function roomBadges(
  { admin: { rooms } }: Texts,
  room: Pick<RoomRow, 'room_type' | 'encryption' | 'in_directory' | 'joined_members'>,
): Html[] {
  const { states } = rooms
  return [
    ...(room.room_type === 'm.space' ? [badge(states.space)] : []),
    ...(room.encryption === null ? [] : [badge(states.encrypted)]),
    ...(room.in_directory ? [badge(states.public)] : []),
    ...(room.joined_members === 0 ? [badge(states.empty, 'bad')] : []),
  ]
}

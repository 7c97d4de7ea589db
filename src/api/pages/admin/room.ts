import { z } from 'zod'
import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { describeRoom } from '../../../services/rooms/administration/describe-room.ts'
import { listForwardExtremities } from '../../../services/rooms/administration/forward-extremities.ts'
import { listRoomMembers } from '../../../storage/rooms/membership/room-memberships.ts'
import { findRoomBlocker } from '../../../storage/rooms/room-blocks.ts'
import type { RoomMembershipRow } from '../../../storage/schema/rooms.ts'
import { ofRoom } from '../../admin/admin-fields.ts'
import { actLinks, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import {
  badge,
  type Column,
  facts,
  keysetLinks,
  listForm,
  listLink,
  listQuery,
  numberText,
  ON_A_PAGE,
  table,
} from './list.ts'
import { auditPath, REFUSED_EVENTS_PATH, REPORTS_PATH, ROOMS_PATH, roomPath, TASKS_PATH } from './paths.ts'
import { userLink } from './reports.ts'
import { roomBadges } from './rooms.ts'

type Room = Awaited<ReturnType<typeof describeRoom>>

/** A room. One that this server does not have can only be blocked, or released. */
export const getRoomPage = adminPage({
  method: 'GET',
  path: `${ROOMS_PATH}/:roomId`,
  section: 'rooms',
  params: ofRoom,
  query: listQuery.pick({ done: true }),
  async handle(visit, app) {
    const { texts, params, query } = visit
    const { rooms: words, sections } = texts.admin
    const [room, blocker] = await Promise.all([
      known(describeRoom(app, params.roomId)),
      findRoomBlocker(app.database, params.roomId),
    ])
    const ends = room ? ((await known(listForwardExtremities(app, params.roomId)))?.length ?? 0) : 0
    const badges = [
      ...(blocker === undefined ? [] : [badge(words.states.blocked, 'bad')]),
      ...(room ? roomBadges(texts, { ...room, in_directory: room.public }) : []),
    ]
    const body = html`${doneNotice(visit, query.done)}
<p class="id">${params.roomId} ${badges}</p>
${room ? factsOf(visit, room, { blocker, ends }) : html`<p>${words.unknown}</p>`}
${actLinks(visit, actsOf(params.roomId, { room, isBlocked: blocker !== undefined, ends }))}`
    const back = { path: ROOMS_PATH, label: sections.rooms }
    return { title: room?.name || room?.canonical_alias || params.roomId, body, back }
  },
})

function known<Value>(found: Promise<Value>): Promise<Value | undefined> {
  return found.catch((error) => {
    if (error instanceof NotFoundError) return undefined
    throw error
  })
}

function factsOf(
  visit: AdminVisit,
  room: Room,
  { blocker, ends }: { blocker: string | undefined; ends: number },
): Html {
  const { rooms: words, sections } = visit.texts.admin
  const number = (value: number) => numberText(visit, value)
  const query = `?room=${encodeURIComponent(room.room_id)}`
  const members = roomPath(room.room_id, '/members')
  return facts([
    [words.topic, room.topic ? html`<bdi class="text">${room.topic}</bdi>` : undefined],
    [words.alias, room.canonical_alias ?? undefined],
    [words.creator, room.creator ? userLink(room.creator) : undefined],
    [words.version, room.version],
    [
      words.members,
      html`<a href="${members}">${words.memberCounts(number(room.joined_members), number(room.joined_local_members))}</a>`,
    ],
    [words.stateEvents, number(room.state_events)],
    [words.joinRule, room.join_rules ?? undefined],
    [words.history, room.history_visibility ?? undefined],
    [words.encryption, room.encryption ?? undefined],
    [
      words.replacement,
      room.replacement_room === null
        ? undefined
        : html`<a href="${roomPath(room.replacement_room)}" class="id">${room.replacement_room}</a>`,
    ],
    [words.ends, number(ends)],
    [
      visit.texts.admin.roomState.title,
      html`<a href="${roomPath(room.room_id, '/state')}">${visit.texts.admin.roomState.show}</a>`,
    ],
    [words.blockedBy, blocker === undefined ? undefined : userLink(blocker)],
    [
      visit.texts.admin.user.more,
      html`<a href="${REPORTS_PATH}${query}&amp;state=all">${sections.reports}</a> · <a href="${TASKS_PATH}?about=${encodeURIComponent(room.room_id)}">${sections.tasks}</a> ·
<a href="${REFUSED_EVENTS_PATH}${query}">${visit.texts.admin.refused.title}</a> ·
<a href="${auditPath(room.room_id)}">${sections.audit}</a>`,
    ],
  ])
}

function actsOf(
  roomId: RoomId,
  { room, isBlocked, ends }: { room: Room | undefined; isBlocked: boolean; ends: number },
) {
  const at = (below: string) => roomPath(roomId, `/${below}`)
  const block = isBlocked
    ? { act: 'unblockRoom' as const, path: at('unblock') }
    : { act: 'blockRoom' as const, path: at('block'), isDangerous: true }
  if (!room) return [block]
  return [
    { act: 'makeRoomAdmin' as const, path: at('make-admin') },
    { act: 'joinRoom' as const, path: at('join') },
    ...(ends > 1 ? [{ act: 'mergeEnds' as const, path: at('merge-ends') }] : []),
    block,
    { act: 'quarantineRoom' as const, path: at('quarantine'), isDangerous: true },
    { act: 'purgeHistory' as const, path: at('purge'), isDangerous: true },
    { act: 'deleteRoom' as const, path: at('delete'), isDangerous: true },
  ]
}

const MEMBERSHIPS = ['join', 'invite', 'knock', 'ban', 'leave'] as const

/** The members of a room, by user ID. */
export const getRoomMembersPage = adminPage({
  method: 'GET',
  path: `${ROOMS_PATH}/:roomId/members`,
  section: 'rooms',
  params: ofRoom,
  query: z.object({ membership: z.enum(MEMBERSHIPS).catch('join'), from: listQuery.shape.q }),
  async handle(visit, app) {
    const { texts, params, query } = visit
    const { user: words, rooms } = texts.admin
    const found = await membersOf(app, params.roomId, query)
    const members = found.slice(0, ON_A_PAGE)
    const path = roomPath(params.roomId, '/members')
    const next = found.length > ON_A_PAGE ? members.at(-1)!.user_id : null
    const options = MEMBERSHIPS.map((value) => ({ value, text: words.memberships[value] }))
    const filters = [{ name: 'membership', label: words.membership, value: query.membership, options }]
    const columns: Column<RoomMembershipRow>[] = [
      { title: texts.admin.users.id, cell: ({ user_id }) => userLink(user_id) },
      { title: texts.admin.users.name, cell: ({ displayname }) => html`<bdi class="text">${displayname ?? ''}</bdi>` },
    ]
    const body = html`${listForm(visit, { path, filters })}
${table(visit, { label: rooms.members, columns, rows: members })}
${keysetLinks(visit, { isFirst: query.from === '', next, link: listLink(path, query), labels: texts.admin.list })}`
    return { title: rooms.members, body, back: { path: roomPath(params.roomId), label: params.roomId } }
  },
})

function membersOf(
  app: App,
  roomId: RoomId,
  { membership, from }: { membership: (typeof MEMBERSHIPS)[number]; from: string },
) {
  return listRoomMembers(app.database, { roomId, membership, after: from, limit: ON_A_PAGE + 1 })
}

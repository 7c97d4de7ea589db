import type { App } from '../../../app.ts'
import { domainOf, isRoomId, type RoomId, type UserId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { copyRoomRules } from '../../../core/push-rules/copy-room-rules.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { loadPushRuleOverlay, storePushRuleOverlay } from '../../../storage/push/push-rules.ts'
import { loadRoomMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { type AppendedEvent, type LockedRoom, roomIdOf } from '../../../storage/rooms/timeline/locked-room.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { isReplacedBy, movePublication } from '../../../storage/rooms/upgraded-rooms.ts'
import { findAccountData, storeAccountData } from '../../../storage/users/account-data.ts'
import { lockUser } from '../../../storage/users/users.ts'

/** An appended join, the user's previous member event, and the room's `m.room.create`. */
type AppendedJoin = { event: Event; before: Event | undefined; create: Event | undefined }

/**
 * Copies a local user's settings of a room when they join its replacement: tags, push rules and the direct-chat flag.
 * `isFirst` means that this server enters the room by the join: then its aliases and directory entry move too. Only if
 * both rooms name each other, since anybody can claim a replacement. `event` need not be a join.
 * https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-19
 */
export function followJoin(
  app: Pick<App, 'serverName'>,
  room: LockedRoom,
  { event: { pdu }, before, create, isFirst = false }: AppendedJoin & { isFirst?: boolean },
): void {
  if (pdu.type !== 'm.room.member' || pdu.content.membership !== 'join') return
  const userId = pdu.state_key as UserId
  const from = predecessorOf(create)
  if (from === undefined || before?.pdu.content.membership === 'join' || domainOf(userId) !== app.serverName) return
  const to = roomIdOf(room)
  room.writes.push(async (tx) => {
    if (!(await isReplacedBy(tx, from, to))) return
    await takeAlong(tx, userId, { from, to })
    if (isFirst) await movePublication(tx, from, to)
  })
}

/**
 * As `followJoin`, for all local users who are in the new room already when the old one gets its tombstone from any
 * server.
 */
export function followTombstone(app: Pick<App, 'serverName'>, room: LockedRoom, event: AppendedEvent): void {
  const { type, state_key } = event.pdu
  const changes = event.current_changes ?? (state_key === undefined ? [] : [{ type, state_key, event }])
  const tombstone = changes.find((change) => change.type === 'm.room.tombstone' && change.state_key === '')?.event
  const to = tombstone?.pdu.content.replacement_room
  if (typeof to !== 'string' || !isRoomId(to)) return
  const from = roomIdOf(room)
  room.writes.push((tx) => takeAllAlong(tx, app, { from, to }))
}

async function takeAllAlong(tx: Tx, app: Pick<App, 'serverName'>, rooms: { from: RoomId; to: RoomId }): Promise<void> {
  const head = await findRoomHead(tx, rooms.to)
  const create = head && (await loadEvents(tx, [head.create_nid])).get(head.create_nid)
  if (predecessorOf(create) !== rooms.from) return
  const members = (await loadRoomMemberships(tx, rooms.to, ['join'])).map(({ user_id }) => user_id)
  const ours = members.filter((userId) => domainOf(userId) === app.serverName)
  // In a fixed order, which prevents deadlocks.
  for (const userId of ours.sort()) await takeAlong(tx, userId, rooms)
  if (ours.length > 0) await movePublication(tx, rooms.from, rooms.to)
}

function predecessorOf(create: Event | undefined): RoomId | undefined {
  const predecessor = (create?.pdu.content.predecessor ?? {}) as { room_id?: unknown }
  return typeof predecessor.room_id === 'string' && isRoomId(predecessor.room_id) ? predecessor.room_id : undefined
}

async function takeAlong(tx: Tx, userId: UserId, { from, to }: { from: RoomId; to: RoomId }): Promise<void> {
  await lockUser(tx, userId)
  const tags = await findAccountData(tx, userId, { roomId: from, type: 'm.tag' })
  const isTagged = (await findAccountData(tx, userId, { roomId: to, type: 'm.tag' })) !== undefined
  if (tags !== undefined && !isTagged) {
    await storeAccountData(tx, userId, { roomId: to, type: 'm.tag', content: tags })
  }
  const rules = await loadPushRuleOverlay(tx, userId)
  const changed = copyRoomRules(rules, from, to)
  if (changed !== rules) await storePushRuleOverlay(tx, userId, changed)
  const direct = withDirectRoom(await findAccountData(tx, userId, { roomId: '', type: 'm.direct' }), { from, to })
  if (direct) await storeAccountData(tx, userId, { roomId: '', type: 'm.direct', content: direct })
}

/** Returns a user's `m.direct` (JSON text) with the new room beside the old one; undefined if nothing changes. */
function withDirectRoom(text: string | undefined, { from, to }: { from: RoomId; to: RoomId }): string | undefined {
  if (text === undefined) return undefined
  let isChanged = false
  const entries = Object.entries(JSON.parse(text) as Record<string, unknown>).map(([userId, rooms]) => {
    if (!Array.isArray(rooms) || !rooms.includes(from) || rooms.includes(to)) return [userId, rooms]
    isChanged = true
    return [userId, [...rooms, to]]
  })
  return isChanged ? JSON.stringify(Object.fromEntries(entries)) : undefined
}

import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import { type AppserviceMemberChange, filterMembers, type RoomMoves } from '../../storage/appservices/appservices.ts'
import { loadMessageBytes } from '../../storage/devices/to-device.ts'
import type { Db } from '../../storage/engine/database.ts'
import { concernsRooms } from '../../storage/engine/rows-of-rooms.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'
import { type Interest, memberOf } from './interest.ts'

type Owner = { roomId: RoomId; userId: UserId }

/** The changes in stream rows that interest an application service. */
export type News = RoomMoves & {
  /** The stream position up to which these go. */
  position: number
  events: number[]
  /** Joins and leaves of its users. */
  members: AppserviceMemberChange[]
  typing: Set<RoomId>
  /** Owners of new receipts, with the orders of the events in their rooms. */
  receipts: Map<string, Owner & { orders: Set<number | null>; isPrivate: boolean }>
  presence: Set<UserId>
  messages: number[]
  /** Its devices whose key counts changed. */
  keyCounts: Map<string, DeviceKey>
  /** Users with changed device lists: its own, and others. */
  ownLists: Set<UserId>
  changedLists: Set<UserId>
  /** Other users who may share no room with its users any more. */
  parted: Set<UserId>
}

/** Maximum number of events, to-device messages, or typing and receipt changes per transaction. */
const MAX_EVENTS = 100

/**
 * Processes stream rows in order, and updates `interest` by them. `to`: the end of the range; `bytes`: the limit for
 * to-device messages, unless there is only one.
 */
export async function gatherNews(
  db: Db,
  { appserviceId, interest }: { appserviceId: string; interest: Interest },
  { rows, to, bytes }: { rows: readonly StreamRow[]; to: number; bytes: number },
): Promise<News> {
  const news = noNews()
  const rooms = rows.flatMap(({ kind, detail }) => (kind === 'alias' && detail !== null ? [detail as RoomId] : []))
  for (const roomId of new Set(rooms)) await interest.refreshAliases(roomId)
  const own = rows.flatMap((row) => memberOf(row) ?? []).filter(({ userId }) => interest.hasUser(userId))
  const joined = await filterMembers(db, appserviceId, own)
  const before = new Map(own.map(({ roomId }) => [roomId, interest.membersOf(roomId)]))
  const messageBytes = await loadMessageBytes(
    db,
    rows.flatMap((row) => messageOf(interest, row) ?? []),
  )
  let position = to
  let left = bytes
  let ephemeral = 0
  for (const row of rows) {
    const message = messageOf(interest, row)
    const size = message === undefined ? 0 : (messageBytes.get(message) ?? 0)
    const isFull = size > left && news.messages.length > 0
    if (isFull || Math.max(news.events.length, news.messages.length, ephemeral) >= MAX_EVENTS) {
      position = row.stream_position - 1
      break
    }
    left -= size
    noteEvent(news, interest, row)
    noteMember(news, interest, { row, joined })
    if (noteTypingOrReceipt(news, interest, row)) ephemeral++
    if (row.kind === 'presence' && row.user_id !== null) news.presence.add(row.user_id)
    noteDevices(news, interest, row)
  }
  const moved = (isGained: boolean) =>
    [...before].flatMap(([roomId, count]) =>
      count > 0 !== interest.membersOf(roomId) > 0 && (count === 0) === isGained ? [roomId] : [],
    )
  return { ...news, position, gained: moved(true), lost: moved(false) }
}

function noNews(): News {
  return {
    position: 0,
    events: [],
    members: [],
    typing: new Set(),
    receipts: new Map(),
    presence: new Set(),
    messages: [],
    keyCounts: new Map(),
    ownLists: new Set(),
    changedLists: new Set(),
    parted: new Set(),
    gained: [],
    lost: [],
  }
}

function noteEvent(news: News, interest: Interest, { kind, room_id, user_id, ref }: StreamRow): void {
  if (kind !== 'event' || room_id === null || ref === null) return
  if (interest.hasRoom(room_id) || (user_id !== null && interest.hasUser(user_id))) news.events.push(ref)
}

/** `joined`: the rooms of its users, as `room user`. */
function noteMember(news: News, interest: Interest, { row, joined }: { row: StreamRow; joined: Set<string> }): void {
  const member = memberOf(row)
  if (!member) return
  const { roomId, userId, isJoined } = member
  if (!interest.hasUser(userId)) {
    if (interest.membersOf(roomId) === 0) return
    if (isJoined) news.changedLists.add(userId)
    else news.parted.add(userId)
    return
  }
  const pair = `${roomId} ${userId}`
  if (joined.has(pair) === isJoined) return
  if (isJoined) joined.add(pair)
  else joined.delete(pair)
  interest.moveMember(roomId, isJoined)
  news.members.push(member)
}

/** Returns whether the row is typing or a receipt of interest. */
function noteTypingOrReceipt(news: News, interest: Interest, row: StreamRow): boolean {
  const { kind, room_id: roomId, user_id: userId, ref, detail } = row
  if (kind === 'typing' && roomId !== null && interest.hasRoom(roomId)) {
    news.typing.add(roomId)
    return true
  }
  if (kind !== 'receipt') return false
  // Public receipts name their owner in `detail`, private ones their room.
  const isPrivate = roomId === null
  const owner = (isPrivate ? userId : detail) as UserId
  const room = (isPrivate ? detail : roomId) as RoomId
  if (isPrivate ? !interest.hasUser(owner) : !interest.hasRoom(room)) return false
  const key = `${room} ${owner} ${isPrivate}`
  const known = news.receipts.get(key) ?? { roomId: room, userId: owner, orders: new Set(), isPrivate }
  known.orders.add(ref)
  news.receipts.set(key, known)
  return true
}

/** Returns the to-device message for its users in a row. */
function messageOf(interest: Interest, { kind, user_id: userId, ref }: StreamRow): number | undefined {
  return kind === 'to_device' && ref !== null && userId !== null && interest.hasUser(userId) ? ref : undefined
}

function noteDevices(news: News, interest: Interest, row: StreamRow): void {
  const { kind, room_id: roomId, user_id: userId, detail } = row
  if (userId === null) return
  const isOwn = interest.hasUser(userId)
  const message = messageOf(interest, row)
  if (message !== undefined) news.messages.push(message)
  if (kind === 'one_time_keys' && detail !== null && isOwn)
    news.keyCounts.set(`${userId} ${detail}`, { userId, deviceId: detail as DeviceId })
  if (!concernsRooms(row)) return
  if (isOwn) news.ownLists.add(userId)
  else if (roomId !== null && interest.hasRoom(roomId)) news.changedLists.add(userId)
}

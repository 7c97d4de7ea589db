import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import { type AppserviceMemberChange, filterMembers, type RoomMoves } from '../../storage/appservices/appservices.ts'
import { loadMessageBytes } from '../../storage/devices/to-device.ts'
import type { Db } from '../../storage/engine/database.ts'
import { concernsRooms } from '../../storage/engine/device-list-rooms.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'
import { type Interest, memberOf } from './interest.ts'

type Owner = { roomId: RoomId; userId: UserId }

/** What rows of the stream have for an application service. */
export type News = RoomMoves & {
  /** Up to where in the stream this goes. */
  position: number
  events: number[]
  /** Which of its users have joined rooms or left them. */
  members: AppserviceMemberChange[]
  typing: Set<RoomId>
  /** Whose receipts are new, with the places of the events in their rooms. */
  receipts: Map<string, Owner & { orders: Set<number | null>; isPrivate: boolean }>
  presence: Set<UserId>
  messages: number[]
  /** Of which of its devices the numbers of keys changed. */
  keyCounts: Map<string, DeviceKey>
  /** Of its users, and of others, those whose devices may be others than before. */
  ownLists: Set<UserId>
  changedLists: Set<UserId>
  /** Others who may be in none of its rooms any more. */
  parted: Set<UserId>
}

/** Events, messages to devices, or changes of typing and receipts, in one transaction at most. */
const MAX_EVENTS = 100

/**
 * Goes through rows of the stream, in order, and notes in `interest` what they change of it. `to`: up to where there
 * are no others; `bytes`: so much of messages to devices, unless it is a single one.
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

/** `joined`: who of its users is in which room, as `room user`. */
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

/** Returns whether the row is of typing or receipts of interest. */
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

/** The message to a device of its users that a row tells of. */
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

import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import { loadJoinedRooms } from '../rooms/membership/room-memberships.ts'

/**
 * What changed about a user's keys: those of a device, the cross-signing keys, or the user's signatures on somebody else's keys, which only the user sees;
 * of a device without keys it is its name, or that it is gone, which only other servers hear of.
 */
export type DeviceListChange = `device ${string}` | `keyless ${string}` | 'cross_signing' | `signatures ${UserId}`

/** Tells the stream that a user's devices or keys are not what they were; all who share a room with the user hear of it. */
export function noteDeviceListChange(tx: Tx, userId: UserId, change: DeviceListChange): void {
  const isNoted = tx.streamRows.some(
    (row) => row.kind === 'device_list' && row.user_id === userId && row.detail === change,
  )
  if (!isNoted) appendToStream(tx, { kind: 'device_list', user_id: userId, detail: change })
}

/**
 * Which of `candidates` have joined at least one of these rooms. `throughout`: at least one that the candidate has been in without a break until the stream
 * was at `to`, which is any but `newRooms`, the pairs in `newMembers`, and what the candidate has come into since.
 */
export async function loadRoomSharers(
  db: Db,
  question: {
    roomIds: ReadonlySet<RoomId>
    candidates: readonly UserId[]
    newRooms: readonly RoomId[]
    newMembers: readonly { roomId: RoomId; userId: UserId }[]
    to: number
  },
): Promise<{ user_id: UserId; throughout: boolean }[]> {
  const { roomIds, candidates, to } = question
  const newRooms = new Set(question.newRooms)
  const joined = await loadJoinedRooms(db, candidates)
  const hasNew = newRooms.size + question.newMembers.length > 0
  // Looked up after the rooms, so that whoever has come into one of these since then is among them.
  const newMembers = [...question.newMembers, ...(hasNew ? await loadMovesAfter(db, candidates, to) : [])]
  return [...joined].flatMap(([userId, rooms]) => {
    const shared = rooms.filter((roomId) => roomIds.has(roomId))
    if (shared.length === 0) return []
    const isNewIn = (room: RoomId) => newMembers.some(({ roomId, userId: user }) => roomId === room && user === userId)
    return { user_id: userId, throughout: shared.some((room) => !newRooms.has(room) && !isNewIn(room)) }
  })
}

/** Who of these users has come into or gone out of which room after the stream was at `position`. */
async function loadMovesAfter(
  db: Db,
  userIds: readonly UserId[],
  position: number,
): Promise<{ roomId: RoomId; userId: UserId }[]> {
  const { rows } = await sql<{ room_id: RoomId; user_id: UserId }>`select room_id, user_id from stream
    where stream_position > ${position}::bigint and user_id = any(${userIds}::text[]) and kind in ('event', 'state')
      and room_id is not null`.execute(db.sql)
  return rows.map((row) => ({ roomId: row.room_id, userId: row.user_id }))
}

/** Everybody who has joined one of these rooms. */
export async function loadMembersOfRooms(db: Db, roomIds: readonly RoomId[]): Promise<UserId[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select distinct user_id from room_memberships
    where room_id = any(${roomIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}

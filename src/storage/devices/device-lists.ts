import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import { loadJoinedRooms } from '../rooms/membership/room-memberships.ts'

/**
 * The kinds of changes of a user's keys: of a device, of cross-signing keys, or of the user's signatures on other
 * users' keys, which only the user sees. `keyless`: a device without keys was renamed or deleted, which only other
 * servers see.
 */
export type DeviceListChange = `device ${string}` | `keyless ${string}` | 'cross_signing' | `signatures ${UserId}`

/** Appends to the stream that a user's devices or keys changed; all users who share a room are notified. */
export function noteDeviceListChange(tx: Tx, userId: UserId, change: DeviceListChange): void {
  const isNoted = tx.streamRows.some(
    (row) => row.kind === 'device_list' && row.user_id === userId && row.detail === change,
  )
  if (!isNoted) appendToStream(tx, { kind: 'device_list', user_id: userId, detail: change })
}

/**
 * Returns which of `candidates` have joined at least one of these rooms. `throughout`: at least one that the candidate
 * has been in without interruption until the stream was at `to`; this excludes `newRooms`, the pairs in `newMembers`,
 * and rooms joined since.
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
  // Queried after the rooms, so that it includes all users who joined one of them in between.
  const newMembers = [...question.newMembers, ...(hasNew ? await loadMovesAfter(db, candidates, to) : [])]
  return [...joined].flatMap(([userId, rooms]) => {
    const shared = rooms.filter((roomId) => roomIds.has(roomId))
    if (shared.length === 0) return []
    const isNewIn = (room: RoomId) => newMembers.some(({ roomId, userId: user }) => roomId === room && user === userId)
    return { user_id: userId, throughout: shared.some((room) => !newRooms.has(room) && !isNewIn(room)) }
  })
}

/** Returns which of these users joined or left which rooms after the stream was at `position`. */
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

/** Returns all users who have joined one of these rooms. */
export async function loadMembersOfRooms(db: Db, roomIds: readonly RoomId[]): Promise<UserId[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select distinct user_id from room_memberships
    where room_id = any(${roomIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}

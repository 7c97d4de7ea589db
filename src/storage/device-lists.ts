import { sql } from 'kysely'
import type { RoomId, UserId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'
import { appendToStream } from './stream-append.ts'

/** What changed about a user's keys: those of a device, the cross-signing keys, or the user's signatures on somebody else's keys, which only the user sees. */
export type DeviceListChange = `device ${string}` | 'cross_signing' | `signatures ${UserId}`

/** Tells the stream that a user's devices or keys are not what they were; all who share a room with the user hear of it. */
export function noteDeviceListChange(tx: Tx, userId: UserId, change: DeviceListChange): void {
  const isNoted = tx.streamRows.some(
    (row) => row.kind === 'device_list' && row.user_id === userId && row.detail === change,
  )
  if (!isNoted) appendToStream(tx, { kind: 'device_list', user_id: userId, detail: change })
}

/**
 * Which of `candidates` have joined at least one of these rooms. `throughout`: at least one that the candidate has been in without a break,
 * which is any but `newRooms` and the pairs in `newMembers`.
 */
export async function loadRoomSharers(
  db: Db,
  question: {
    roomIds: readonly RoomId[]
    candidates: readonly UserId[]
    newRooms: readonly RoomId[]
    newMembers: readonly { roomId: RoomId; userId: UserId }[]
  },
): Promise<{ user_id: UserId; throughout: boolean }[]> {
  const { roomIds, candidates, newRooms, newMembers } = question
  if (candidates.length === 0) return []
  const { rows } = await sql<{ user_id: UserId; throughout: boolean }>`select members.user_id,
      bool_or(fresh.room_id is null and members.room_id <> all(${newRooms}::text[])) as throughout
    from room_memberships members
    left join unnest(${newMembers.map((member) => member.roomId)}::text[], ${newMembers.map((member) => member.userId)}::text[])
      as fresh(room_id, user_id) on fresh.room_id = members.room_id and fresh.user_id = members.user_id
    where members.membership = 'join' and members.user_id = any(${candidates}::text[])
      and members.room_id = any(${roomIds}::text[])
    group by members.user_id order by members.user_id`.execute(db.sql)
  return rows
}

/** Everybody who has joined one of these rooms. */
export async function loadMembersOfRooms(db: Db, roomIds: readonly RoomId[]): Promise<UserId[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select distinct user_id from room_memberships
    where room_id = any(${roomIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}

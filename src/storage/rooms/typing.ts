import { type RawBuilder, sql } from 'kysely'
import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'
import { appendToStream } from '../engine/stream-append.ts'

/** Other servers end a user's typing unless it is sent again in time. */
const RESEND_MS = 30_000

/**
 * Records that a user types on a device until `expiresTs`. Appends to the stream (kind 'typing', the user in `detail`,
 * `expiresTs` in `ref`) if this is new, or due to be sent again. Times: ms since 1970.
 */
export async function startTyping(
  tx: Tx,
  typing: { roomId: RoomId; userId: UserId; deviceId: DeviceId | null; now: number; expiresTs: number },
): Promise<void> {
  const { roomId, userId, deviceId, now, expiresTs } = typing
  const { rows } = await sql<{ sent_ts: number }>`insert into typing (room_id, user_id, device_id, expires_ts, sent_ts)
    values (${roomId}, ${userId}, ${deviceId ?? ''}, ${expiresTs}::bigint, ${now}::bigint)
    on conflict (room_id, user_id) do update set expires_ts = excluded.expires_ts, device_id = excluded.device_id,
      sent_ts = case when typing.expires_ts <= ${now}::bigint or typing.sent_ts <= ${now - RESEND_MS}::bigint
        then excluded.sent_ts else typing.sent_ts end
    returning sent_ts`.execute(tx.sql)
  if (rows[0]?.sent_ts === now) appendToStream(tx, { kind: 'typing', room_id: roomId, detail: userId, ref: expiresTs })
}

/** Records that a user has stopped typing. */
export function stopTyping(tx: Tx, roomId: RoomId, userId: UserId): Promise<void> {
  return endTyping(tx, sql`room_id = ${roomId} and user_id = ${userId}`)
}

/** Ends all typing that has expired by `now`. */
export function expireTyping(tx: Tx, now: number): Promise<void> {
  return endTyping(tx, sql`expires_ts <= ${now}::bigint`)
}

/** Ends the typing of users who have left a room. */
export async function endTypingOfDeparted(
  tx: Tx,
  departed: readonly { roomId: RoomId; userId: string }[],
): Promise<void> {
  if (departed.length === 0) return
  const users = sql`select * from unnest(${departed.map(({ roomId }) => roomId)}::text[],
    ${departed.map(({ userId }) => userId)}::text[])`
  await endTyping(tx, sql`(room_id, user_id) in (${users})`)
}

/** Ends the typing of deleted devices. */
export async function endTypingOfDevices(tx: Tx, userId: UserId, deviceIds: readonly DeviceId[]): Promise<void> {
  if (deviceIds.length > 0) await endTyping(tx, sql`user_id = ${userId} and device_id = any(${deviceIds}::text[])`)
}

/** Ends matching typing, and notifies the rooms. */
async function endTyping(tx: Tx, matches: RawBuilder<unknown>): Promise<void> {
  const { rows } = await sql<{ room_id: RoomId; user_id: UserId }>`delete from typing where ${matches}
    returning room_id, user_id`.execute(tx.sql)
  for (const { room_id, user_id } of rows) appendToStream(tx, { kind: 'typing', room_id, detail: user_id })
}

/** Returns when the next typing expires; undefined if there is none. */
export async function nextTypingExpiry(db: Db): Promise<number | undefined> {
  const { rows } = await sql<{ next: number | null }>`select min(expires_ts) as next from typing`.execute(db.sql)
  return rows[0]?.next ?? undefined
}

/** The maximum typing users of a room in responses to clients and application services. */
export const MOST_TYPING = 100

/** Returns the users, members only as far as known, who type at `now` in these rooms; rooms without any are absent. */
export async function loadTypingUsers(db: Db, roomIds: readonly RoomId[], now: number): Promise<Map<RoomId, UserId[]>> {
  const typing = new Map<RoomId, UserId[]>()
  for (const [roomId, rows] of await loadTyping(db, roomIds)) {
    const users = rows.flatMap((row) => (row.expires_ts > now ? row.user_id : []))
    if (users.length > 0) typing.set(roomId, users)
  }
  return typing
}

type TypingRow = { room_id: RoomId; user_id: UserId; expires_ts: number }

/** Shared, because all members of a room request it when a user starts to type. */
const loadTyping = sharedLoads<RoomId, TypingRow[]>(
  async (db, roomIds) => {
    const { rows } = await sql<TypingRow>`select room_id, user_id, expires_ts from typing
      left join room_memberships using (room_id, user_id)
      where room_id = any(${roomIds}::text[]) and (membership = 'join' or (membership is null
        and exists (select 1 from partial_rooms where partial_rooms.room_id = typing.room_id))) order by user_id`.execute(
      db.sql,
    )
    return Map.groupBy(rows, (row) => row.room_id)
  },
  { whileReading: false },
)

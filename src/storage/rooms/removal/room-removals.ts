import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import type { Db, Tx } from '../../engine/database.ts'
import { appendToStream } from '../../engine/stream-append.ts'
import { allOf } from '../../engine/transactions.ts'

/** Whether the rows of a deleted room are still being deleted, so that nobody can enter it. */
export async function isBeingRemoved(db: Db, roomId: RoomId): Promise<boolean> {
  const { rows } = await sql`select 1 from room_removals where room_id = ${roomId}`.execute(db.sql)
  return rows.length > 0
}

/** Lets no removal of a room begin before the transaction ends. */
export async function holdOffRemoval(db: Db, roomId: RoomId): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(hashtext('room_removals'), hashtext(${roomId}))`.execute(db.sql)
}

/** Waits for transactions that hold off a removal of the room, and lets no other one enter it before this one ends. */
export async function lockRemoval(tx: Tx, roomId: RoomId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('room_removals'), hashtext(${roomId}))`.execute(tx.sql)
}

export type LocalMember = { user_id: UserId; membership: Membership; event_nid: number }

/** Returns the local users with a membership of a room, also if this server is not in it. */
export async function loadLocalMembers(db: Db, roomId: RoomId): Promise<LocalMember[]> {
  const { rows } = await sql<LocalMember>`
    select user_id, membership, event_nid from room_lists where room_id = ${roomId} order by user_id`.execute(db.sql)
  return rows
}

/** Clients that have not read a leave within this time before the deletion of its room get it again. */
const SURELY_READ_MS = 5 * 60_000

/** A local user with a membership of a room that is being deleted. */
export type RoomDeparture = {
  userId: UserId
  /** JSON of the last member event, in the client format without room_id. */
  event: string
  /** The last member event, if it is a leave or ban, and when it was sent. */
  left: { nid: number; ts: number } | undefined
}

/**
 * Makes a room disappear for everybody, in one transaction, and notes that its other rows have to be deleted. Does
 * nothing for a room that is being removed already. The caller holds the lock of `lockRemoval`.
 */
export async function beginRemoval(
  tx: Tx,
  { roomId, departures, now }: { roomId: RoomId; departures: readonly RoomDeparture[]; now: number },
): Promise<void> {
  const { rows } = await sql`insert into room_removals (room_id) values (${roomId})
    on conflict do nothing returning room_id`.execute(tx.sql)
  if (rows.length === 0) return
  await noteDepartures(tx, { roomId, departures, now })
  const aliases = await sql`delete from room_aliases where room_id = ${roomId} returning room_alias`.execute(tx.sql)
  if (aliases.rows.length > 0) appendToStream(tx, { kind: 'alias', detail: roomId })
  await deleteOwnMembers(tx, roomId)
  await allOf([
    sql`delete from room_heads where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from rooms where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from room_servers where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from partial_rooms where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from out_of_band_rooms where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from active_rooms where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from appservice_directory where room_id = ${roomId}`.execute(tx.sql),
  ])
  appendToStream(tx, { kind: 'room_removed', detail: roomId })
}

/** The memberships of local users go at once, by which the room leaves their lists. */
async function deleteOwnMembers(tx: Tx, roomId: RoomId): Promise<void> {
  await sql`delete from stripped_states where event_nid in (
    select event_nid from room_lists where room_id = ${roomId})`.execute(tx.sql)
  await sql`delete from room_memberships where room_id = ${roomId}
    and user_id in (select user_id from room_lists where room_id = ${roomId})`.execute(tx.sql)
}

async function noteDepartures(
  tx: Tx,
  { roomId, departures, now }: { roomId: RoomId; departures: readonly RoomDeparture[]; now: number },
): Promise<void> {
  if (departures.length === 0) return
  await sql`insert into room_departures (user_id, room_id, event, departed_ts)
    select user_id, ${roomId}, event, ${now}::bigint
    from unnest(${departures.map(({ userId }) => userId)}::text[], ${departures.map(({ event }) => event)}::text[])
      as departed(user_id, event)
    on conflict (user_id, room_id) do update set event = excluded.event, departed_ts = excluded.departed_ts`.execute(
    tx.sql,
  )
  const old = departures.flatMap(({ left }) => (left && left.ts < now - SURELY_READ_MS ? left.nid : []))
  const { rows } = await sql<{ user_id: UserId; position: number }>`select user_id, max(stream_position) as position
    from stream where room_id = ${roomId} and kind = 'event' and user_id is not null and ref = any(${old}::bigint[])
    group by user_id`.execute(tx.sql)
  const positions = new Map(rows.map((row) => [row.user_id, row.position]))
  for (const { userId } of departures)
    appendToStream(tx, { kind: 'departure', user_id: userId, ref: positions.get(userId) ?? null, detail: roomId })
}

/** Tells all processes that the rows of a room are gone, so that they evict those that they read in the meantime. */
export function announceRemoval(tx: Tx, roomId: RoomId): void {
  appendToStream(tx, { kind: 'room_removed', detail: roomId })
}

/** Ends a removal: the room can be entered again, as one that this server does not know. */
export async function endRemoval(tx: Tx, roomId: RoomId): Promise<void> {
  await sql`delete from room_removals where room_id = ${roomId}`.execute(tx.sql)
}

/** Whether events of a room are queued for servers that can be reached, as far as known. */
export async function isRoomQueued(db: Db, roomId: RoomId): Promise<boolean> {
  const { rows } = await sql`select 1 from federation_destinations join federation_queue using (destination)
    where failures = 0 and room_id = ${roomId} limit 1`.execute(db.sql)
  return rows.length > 0
}

import { sql } from 'kysely'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../engine/database.ts'
import type { Lease } from '../../engine/lease.ts'
import { appendToStream } from '../../engine/stream-append.ts'
import { allOf } from '../../engine/transactions.ts'
import type { PartialRoomRow, ReceivedStates } from '../../schema/federation.ts'
import type { LockedRoom } from '../timeline/locked-room.ts'
import { raiseRoomServers } from './other-servers.ts'

/** An event of a partial room, whose states must be recomputed. */
export type PartialEvent = {
  event_nid: number
  /**
   * State groups after prev events that are not in the timeline, as other servers returned them; 0: not fetched yet.
   */
  received_states: ReceivedStates
  /** The join with which this server entered the room: its prev events may stay unknown. */
  is_entry: boolean
}

/**
 * Marks a room as partial: only its state without members is known, from this server, with these servers in it. A room
 * that is partial already stays so, with the servers of both joins.
 */
export async function beginPartialRoom(
  tx: Tx,
  { roomId, via, servers }: { roomId: RoomId; via: ServerName; servers: readonly ServerName[] },
): Promise<void> {
  const noted = sql`insert into partial_rooms (room_id, via, servers, since_position)
    select ${roomId}, ${via}, ${servers}::text[], coalesce(max(stream_position), 0) from stream
    on conflict (room_id) do update set via = excluded.via, retry_ts = 0, failures = 0,
      servers = (select array_agg(distinct server) from unnest(partial_rooms.servers || excluded.servers) as servers(server))`.execute(
    tx.sql,
  )
  const marked = sql`update room_heads set is_partial = true where room_id = ${roomId}`.execute(tx.sql)
  await allOf([noted, marked, raiseRoomServers(tx, roomId, servers)])
  appendToStream(tx, { kind: 'room_partial', room_id: roomId })
}

/**
 * Marks a room's state as complete; `detail` says whether its members encrypt. Invalidates the processes' caches of its
 * events.
 */
export async function endPartialRoom(tx: Tx, roomId: RoomId, detail: 'encrypted' | null): Promise<void> {
  await allOf([
    sql`delete from partial_rooms where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from partial_events where room_id = ${roomId}`.execute(tx.sql),
    sql`update room_heads set is_partial = false, recomputations = recomputations + 1
      where room_id = ${roomId} and is_partial`.execute(tx.sql),
  ])
  appendToStream(tx, { kind: 'room_complete', room_id: roomId, detail })
}

/** Records which events were added to partial rooms, in order. */
export async function storePartialEvents(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  const events = rooms.flatMap((room) => (room.head?.is_partial ? room.events : []))
  if (events.length === 0) return
  const states = events.map(({ received_states }) => JSON.stringify(Object.fromEntries(received_states ?? [])))
  await sql`insert into partial_events (room_id, event_nid, received_states, is_entry)
    select room_id, event_nid, received_states, is_entry from unnest(${events.map((event) => event.room_id)}::text[],
      ${events.map((event) => event.event_nid)}::bigint[], ${states}::text[],
      ${events.map((event) => event.is_entry ?? false)}::boolean[]) with ordinality
      as added(room_id, event_nid, received_states, is_entry, place) order by place
    on conflict (event_nid) do nothing`.execute(tx.sql)
}

/** Returns the events of a partial room in the order in which they were added. */
export async function loadPartialEvents(db: Db, roomId: RoomId): Promise<PartialEvent[]> {
  const { rows } = await sql<
    Omit<PartialEvent, 'received_states'> & { received_states: string }
  >`select event_nid, received_states,
    is_entry from partial_events where room_id = ${roomId} order by place`.execute(db.sql)
  return rows.map((row) => ({ ...row, received_states: JSON.parse(row.received_states) as ReceivedStates }))
}

/** Returns a partial room; undefined for others. */
export async function findPartialRoom(db: Db, roomId: RoomId): Promise<PartialRoomRow | undefined> {
  const { rows } = await sql<PartialRoomRow>`select * from partial_rooms where room_id = ${roomId}`.execute(db.sql)
  return rows[0]
}

/** Returns which of some rooms are partial. */
export async function filterPartialRooms(db: Db, roomIds: readonly RoomId[]): Promise<Set<RoomId>> {
  if (roomIds.length === 0) return new Set()
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from partial_rooms
    where room_id = any(${roomIds}::text[])`.execute(db.sql)
  return new Set(rows.map((row) => row.room_id))
}

/** Returns all partial rooms, and the stream position of the same snapshot. */
export async function loadPartialRooms(db: Db): Promise<{ position: number; roomIds: RoomId[] }> {
  const { rows } = await sql<{ position: number; room_id: RoomId | null }>`select position, room_id
    from (select coalesce(max(stream_position), 0) as position from stream) as newest left join partial_rooms on true`.execute(
    db.sql,
  )
  return { position: rows[0]?.position ?? 0, roomIds: rows.flatMap((row) => row.room_id ?? []) }
}

/** Returns the partial rooms that a server is in, as far as known: its users may be members that are not known yet. */
export async function loadPartialRoomsOf(db: Db, server: ServerName): Promise<Set<RoomId>> {
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from partial_rooms join room_servers using (room_id)
    where server_name = ${server}`.execute(db.sql)
  return new Set(rows.map((row) => row.room_id))
}

/** Returns members of a room, on any server, whose device lists changed since a stream position. */
export async function loadMembersWithNewDevices(db: Db, roomId: RoomId, since: number): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select distinct user_id from stream
    where kind = 'device_list' and stream.room_id is null and stream_position > ${since}::bigint
      and (detail is null or detail not like 'signatures %')
      and exists (select 1 from room_memberships as member where member.room_id = ${roomId}
        and member.user_id = stream.user_id and membership = 'join')`.execute(db.sql)
  return rows.map((row) => row.user_id)
}

/** Acquires leases on partial rooms without a lease, the longest waiting first. */
export async function leasePartialRooms(
  tx: Tx,
  { holder, now, until, limit, except }: Lease & { limit: number; except: readonly ServerName[] },
): Promise<PartialRoomRow[]> {
  const { rows } = await sql<PartialRoomRow>`update partial_rooms
    set leased_by = ${holder}, leased_until = ${until}::bigint where room_id in (
      select room_id from partial_rooms where leased_until <= ${now}::bigint and retry_ts <= ${now}::bigint
        and via <> all(${except}::text[])
      order by retry_ts limit ${limit}::int for update skip locked) returning *`.execute(tx.sql)
  return rows
}

/** Renews the leases of a holder. */
export async function renewPartialLeases(tx: Tx, { holder, until }: Pick<Lease, 'holder' | 'until'>): Promise<void> {
  await sql`update partial_rooms set leased_until = ${until}::bigint where leased_by = ${holder}`.execute(tx.sql)
}

/** Releases the lease of a room after a failure, with a back-off until `retryTs` (milliseconds since 1970). */
export async function restPartialRoom(
  tx: Tx,
  roomId: RoomId,
  { holder, retryTs }: { holder: string; retryTs: number },
) {
  await sql`update partial_rooms set leased_by = null, leased_until = 0, retry_ts = ${retryTs}::bigint,
    failures = failures + 1 where room_id = ${roomId} and leased_by = ${holder}`.execute(tx.sql)
}

/** Releases all leases of this process when it stops. */
export async function releasePartialRooms(tx: Tx, holder: string): Promise<void> {
  await sql`update partial_rooms set leased_by = null, leased_until = 0 where leased_by = ${holder}`.execute(tx.sql)
}

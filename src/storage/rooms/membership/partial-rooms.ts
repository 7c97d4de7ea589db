import { sql } from 'kysely'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../engine/database.ts'
import { appendToStream } from '../../engine/stream-append.ts'
import { allOf } from '../../engine/transactions.ts'
import type { PartialRoomRow, ToldStates } from '../../schema/federation.ts'
import type { LockedRoom } from '../timeline/locked-room.ts'
import { raiseRoomServers } from './other-servers.ts'

/** An event of a partial room, whose states are to be found anew. */
export type PartialEvent = {
  event_nid: number
  /** States after predecessors that are not in the timeline, as other servers told them; 0: still to be fetched. */
  told_states: ToldStates
  /** A join that brought this server into the room: what it follows need not be known. */
  is_entry: boolean
}

/**
 * Notes that of a room only its state but for the members is known, from whom, and which servers are in it. One that is partial already stays so, with
 * the servers of both times.
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

/** Notes that all of a room's state is known; `detail` says whether its members encrypt. What processes remember of its events is worth nothing from now on. */
export async function endPartialRoom(tx: Tx, roomId: RoomId, detail: 'encrypted' | null): Promise<void> {
  await allOf([
    sql`delete from partial_rooms where room_id = ${roomId}`.execute(tx.sql),
    sql`delete from partial_events where room_id = ${roomId}`.execute(tx.sql),
    sql`update room_heads set is_partial = false, restatements = restatements + 1
      where room_id = ${roomId} and is_partial`.execute(tx.sql),
  ])
  appendToStream(tx, { kind: 'room_complete', room_id: roomId, detail })
}

/** Remembers which events were added to partial rooms, in their order. */
export async function storePartialEvents(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  const events = rooms.flatMap((room) => (room.head?.is_partial ? room.events : []))
  if (events.length === 0) return
  const told = events.map(({ told_states }) => JSON.stringify(Object.fromEntries(told_states ?? [])))
  await sql`insert into partial_events (room_id, event_nid, told_states, is_entry)
    select room_id, event_nid, told_states, is_entry from unnest(${events.map((event) => event.room_id)}::text[],
      ${events.map((event) => event.event_nid)}::bigint[], ${told}::text[],
      ${events.map((event) => event.is_entry ?? false)}::boolean[]) with ordinality
      as added(room_id, event_nid, told_states, is_entry, place) order by place
    on conflict (event_nid) do nothing`.execute(tx.sql)
}

/** The events of a partial room in the order in which they were added. */
export async function loadPartialEvents(db: Db, roomId: RoomId): Promise<PartialEvent[]> {
  const { rows } = await sql<Omit<PartialEvent, 'told_states'> & { told_states: string }>`select event_nid, told_states,
    is_entry from partial_events where room_id = ${roomId} order by place`.execute(db.sql)
  return rows.map((row) => ({ ...row, told_states: JSON.parse(row.told_states) as ToldStates }))
}

/** What is known of a partial room; undefined for others. */
export async function findPartialRoom(db: Db, roomId: RoomId): Promise<PartialRoomRow | undefined> {
  const { rows } = await sql<PartialRoomRow>`select * from partial_rooms where room_id = ${roomId}`.execute(db.sql)
  return rows[0]
}

/** Those of some rooms that are partial. */
export async function filterPartialRooms(db: Db, roomIds: readonly RoomId[]): Promise<Set<RoomId>> {
  if (roomIds.length === 0) return new Set()
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from partial_rooms
    where room_id = any(${roomIds}::text[])`.execute(db.sql)
  return new Set(rows.map((row) => row.room_id))
}

/** All partial rooms, and the stream position at which this was so, read in one snapshot. */
export async function loadPartialRooms(db: Db): Promise<{ position: number; roomIds: RoomId[] }> {
  const { rows } = await sql<{ position: number; room_id: RoomId | null }>`select position, room_id
    from (select coalesce(max(stream_position), 0) as position from stream) as newest left join partial_rooms on true`.execute(
    db.sql,
  )
  return { position: rows[0]?.position ?? 0, roomIds: rows.flatMap((row) => row.room_id ?? []) }
}

/** The partial rooms in which a server is, as far as this one knows: its users may be members whom it does not know. */
export async function loadPartialRoomsOf(db: Db, server: ServerName): Promise<Set<RoomId>> {
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from partial_rooms join room_servers using (room_id)
    where server_name = ${server}`.execute(db.sql)
  return new Set(rows.map((row) => row.room_id))
}

/** Members of a room, of any server, whose device lists changed since a position of the stream. */
export async function loadMembersWithNewDevices(db: Db, roomId: RoomId, since: number): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select distinct user_id from stream
    where kind = 'device_list' and stream.room_id is null and stream_position > ${since}::bigint
      and (detail is null or detail not like 'signatures %')
      and exists (select 1 from room_memberships as member where member.room_id = ${roomId}
        and member.user_id = stream.user_id and membership = 'join')`.execute(db.sql)
  return rows.map((row) => row.user_id)
}

type Lease = { holder: string; now: number; until: number }

/** Takes partial rooms that nobody works on, those that have waited longest first. */
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

/** Keeps the rooms that are held. */
export async function renewPartialLeases(tx: Tx, { holder, until }: Pick<Lease, 'holder' | 'until'>): Promise<void> {
  await sql`update partial_rooms set leased_until = ${until}::bigint where leased_by = ${holder}`.execute(tx.sql)
}

/** Gives a room back after a failure; it rests until `retryTs` (milliseconds since 1970). */
export async function restPartialRoom(
  tx: Tx,
  roomId: RoomId,
  { holder, retryTs }: { holder: string; retryTs: number },
) {
  await sql`update partial_rooms set leased_by = null, leased_until = 0, retry_ts = ${retryTs}::bigint,
    failures = failures + 1 where room_id = ${roomId} and leased_by = ${holder}`.execute(tx.sql)
}

/** Gives all rooms that are held back: this process stops. */
export async function releasePartialRooms(tx: Tx, holder: string): Promise<void> {
  await sql`update partial_rooms set leased_by = null, leased_until = 0 where leased_by = ${holder}`.execute(tx.sql)
}

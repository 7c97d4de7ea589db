import { sql } from 'kysely'
import { domainOf, type RoomId, type ServerName, type UserId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../engine/database.ts'
import { sharedLoads } from '../../engine/shared-loads.ts'
import { allOf } from '../../engine/transactions.ts'
import type { MembershipChangeRow } from './room-memberships.ts'

/** How many joined members of another server a room gains; negative: loses. */
export type ServerChange = { room_id: RoomId; server_name: ServerName; by: number }

/**
 * Computes the changes of the member counts by server, for `storeServerChanges`. Free if all members are local users.
 * Must be called before the member changes are stored, because it compares with the stored ones.
 */
export async function readServerChanges(
  tx: Tx,
  ourName: ServerName,
  members: readonly MembershipChangeRow[],
): Promise<ServerChange[]> {
  const remote = members.flatMap((member) => {
    const server = domainOf(member.state_key)
    return server === undefined || server === ourName ? [] : [{ ...member, server }]
  })
  if (remote.length === 0) return []
  const { rows } = await sql<{ room_id: string; user_id: string }>`select room_id, user_id from room_memberships
    join unnest(${remote.map((member) => member.room_id)}::text[], ${remote.map((member) => member.state_key)}::text[])
      as changed(room_id, user_id) using (room_id, user_id)
    where membership = 'join'`.execute(tx.sql)
  const joined = new Set(rows.map((row) => `${row.room_id} ${row.user_id}`))
  const changes = new Map<string, ServerChange>()
  for (const { room_id, state_key, server, event } of remote) {
    const was = joined.has(`${room_id} ${state_key}`)
    const is = event?.pdu.content.membership === 'join'
    if (was === is) continue
    const key = `${room_id} ${server}`
    const by = (changes.get(key)?.by ?? 0) + (is ? 1 : -1)
    changes.set(key, { room_id: room_id as RoomId, server_name: server, by })
  }
  return [...changes.values()]
}

/** Stores the counts; returns which servers have no members left in which rooms. */
export async function storeServerChanges(
  tx: Tx,
  changes: readonly ServerChange[],
): Promise<{ room_id: RoomId; server_name: ServerName }[]> {
  if (changes.length === 0) return []
  const rooms = changes.map((change) => change.room_id)
  const stored = sql`insert into room_servers (room_id, server_name, joined_members)
    select * from unnest(${rooms}::text[], ${changes.map((change) => change.server_name)}::text[],
      ${changes.map((change) => change.by)}::int[])
    on conflict (room_id, server_name) do update
      set joined_members = room_servers.joined_members + excluded.joined_members`.execute(tx.sql)
  const left = sql<{ room_id: RoomId; server_name: ServerName }>`delete from room_servers
    where room_id = any(${rooms}::text[]) and joined_members <= 0 returning room_id, server_name`.execute(tx.sql)
  const [, { rows }] = await allOf([stored, left, markHeads(tx, rooms)])
  return rows
}

/** Recounts the members of rooms by server, after their memberships were written in bulk. */
export async function recountRoomServers(tx: Tx, ourName: ServerName, roomIds: readonly RoomId[]): Promise<void> {
  const forgotten = sql`delete from room_servers where room_id = any(${roomIds}::text[])`.execute(tx.sql)
  const counted = sql`insert into room_servers (room_id, server_name, joined_members)
    select room_id, substr(user_id, strpos(user_id, ':') + 1) as server_name, count(*) from room_memberships
    where room_id = any(${roomIds}::text[]) and membership = 'join'
      and substr(user_id, strpos(user_id, ':') + 1) <> ${ourName}
    group by room_id, server_name`.execute(tx.sql)
  await allOf([forgotten, counted, markHeads(tx, roomIds)])
}

/**
 * Adds one to the count of each of these servers, for rooms in which they have members that this server does not know
 * yet.
 */
export async function raiseRoomServers(tx: Tx, roomId: RoomId, servers: readonly ServerName[]): Promise<void> {
  const raised = sql`insert into room_servers (room_id, server_name, joined_members)
    select ${roomId}, server_name, 1 from unnest(${servers}::text[]) as counted(server_name)
    on conflict (room_id, server_name) do update set joined_members = room_servers.joined_members + 1`.execute(tx.sql)
  await allOf([raised, markHeads(tx, [roomId])])
}

async function markHeads(tx: Tx, roomIds: readonly string[]): Promise<void> {
  await sql`update room_heads set has_other_servers = found.has_other_servers from (
      select room_id, exists (select 1 from room_servers where room_servers.room_id = rooms.room_id) as has_other_servers
      from (select distinct unnest(${roomIds}::text[]) as room_id) as rooms
    ) as found
    where room_heads.room_id = found.room_id and room_heads.has_other_servers <> found.has_other_servers`.execute(
    tx.sql,
  )
}

/**
 * Returns the remote servers with members in some rooms; rooms without any are absent. Shared, because typing and
 * receipts need it often.
 */
export const loadOtherServers = sharedLoads<RoomId, ServerName[]>(
  async (db, roomIds) => {
    const { rows } = await sql<{
      room_id: RoomId
      servers: ServerName[]
    }>`select room_id, array_agg(server_name) as servers
      from room_servers where room_id = any(${roomIds}::text[]) group by room_id`.execute(db.sql)
    return new Map(rows.map((row) => [row.room_id, row.servers]))
  },
  { whileReading: false },
)

/** Returns the remote servers in a room, as the transaction sees it. */
export async function loadOtherServersNow(tx: Tx, roomId: RoomId): Promise<ServerName[]> {
  const { rows } = await sql<{ server_name: ServerName }>`select server_name from room_servers
    where room_id = ${roomId}`.execute(tx.sql)
  return rows.map((row) => row.server_name)
}

/** Returns the remote servers that share a room with some users; users without one are absent. */
export async function loadServersOfUsers(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, ServerName[]>> {
  if (userIds.length === 0) return new Map()
  const { rows } = await sql<UserServers>`select user_id, array_agg(distinct server_name) as servers
    from room_memberships join room_servers using (room_id)
    where user_id = any(${userIds}::text[]) and membership = 'join' group by user_id`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id, row.servers]))
}

/**
 * Returns the remote servers that share a room with users only since the users joined these rooms; users without one
 * are absent.
 */
export async function loadNewServersOfUsers(
  db: Db,
  joins: readonly { userId: UserId; roomId: RoomId }[],
): Promise<Map<UserId, ServerName[]>> {
  if (joins.length === 0) return new Map()
  const { rows } = await sql<UserServers>`with joins as (
      select * from unnest(${joins.map((join) => join.userId)}::text[], ${joins.map((join) => join.roomId)}::text[])
        as joins(user_id, room_id)
    )
    select user_id, array_agg(distinct server_name) as servers from joins join room_servers using (room_id)
    where not exists (select 1 from room_memberships as others join room_servers as theirs using (room_id)
      where others.user_id = joins.user_id and others.membership = 'join' and theirs.server_name = room_servers.server_name
        and not exists (select 1 from joins as new where new.user_id = others.user_id and new.room_id = others.room_id))
    group by user_id`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id, row.servers]))
}

type UserServers = { user_id: UserId; servers: ServerName[] }

/** Whether any remote server is in any room of this server. */
export async function hasOtherServers(db: Db): Promise<boolean> {
  const { rows } = await sql`select 1 from room_servers limit 1`.execute(db.sql)
  return rows.length > 0
}

/** Returns which of some servers are in back-off after failed requests. */
export async function filterRestingDestinations(
  db: Db,
  servers: readonly ServerName[],
  now: number,
): Promise<Set<ServerName>> {
  const { rows } = await sql<{ destination: ServerName }>`select destination from federation_destinations
    where destination = any(${servers}::text[]) and failures > 0 and retry_ts > ${now}::bigint`.execute(db.sql)
  return new Set(rows.map(({ destination }) => destination))
}

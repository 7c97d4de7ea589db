import { sql } from 'kysely'
import { type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import type { Db } from '../../engine/database.ts'

/** Returns the servers with joined members in a room, those with the most members first. */
export async function loadRoomServers(db: Db, roomId: RoomId, limit: number): Promise<ServerName[]> {
  // In a partial room more servers are known than members.
  const { rows } = await sql<{ server: ServerName }>`select server from (
      select substr(user_id, strpos(user_id, ':') + 1) as server, count(*) as members
      from room_memberships where room_id = ${roomId} and membership = 'join' group by server
      union all select server_name, joined_members from room_servers where room_id = ${roomId}
    ) as servers group by server order by max(members) desc, server limit ${limit}::int`.execute(db.sql)
  return rows.map((row) => row.server)
}

/** Whether a remote server has joined members in a room, as far as known. */
export async function isServerInRoom(db: Db, roomId: RoomId, server: ServerName): Promise<boolean> {
  const { rows } = await sql`select 1 from room_servers where room_id = ${roomId} and server_name = ${server}`.execute(
    db.sql,
  )
  return rows.length > 0
}

/** Returns users of a server with a membership of a room, joined ones first. */
export async function loadUsersOfServer(
  db: Db,
  { roomId, server, limit }: { roomId: RoomId; server: ServerName; limit: number },
): Promise<{ user_id: UserId; membership: Membership }[]> {
  const { rows } = await sql<{
    user_id: UserId
    membership: Membership
  }>`select user_id, membership from room_memberships
    where room_id = ${roomId} and substr(user_id, strpos(user_id, ':') + 1) = ${server}
    order by membership = 'join' desc, user_id limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Whether this server is in a room: a local user has joined it. */
export async function isRoomHere(db: Db, roomId: RoomId): Promise<boolean> {
  return (await filterRoomsHere(db, [roomId])).length > 0
}

/** Returns which of some rooms a local user has joined. */
export async function filterRoomsHere(db: Db, roomIds: readonly RoomId[]): Promise<RoomId[]> {
  if (roomIds.length === 0) return []
  // Most members of large rooms are remote; this table has only local ones.
  const { rows } = await sql<{
    room_id: RoomId
  }>`select wanted.room_id from unnest(${roomIds}::text[]) as wanted(room_id)
    where exists (select 1 from room_lists where room_lists.room_id = wanted.room_id and membership = 'join')`.execute(
    db.sql,
  )
  return rows.map((row) => row.room_id)
}

/** Returns the remote servers with joined members in a room that is not partial, if one user were not in it. */
export async function loadOtherServersWithout(db: Db, roomId: RoomId, userId: UserId): Promise<ServerName[]> {
  const { rows } = await sql<{ server: ServerName }>`select server_name as server from room_servers
    where room_id = ${roomId} and (server_name <> ${serverNameOf(userId)} or joined_members > (select count(*)
      from room_memberships where room_id = ${roomId} and user_id = ${userId} and membership = 'join'))`.execute(db.sql)
  return rows.map((row) => row.server)
}

/**
 * Returns the highest membership (join or invite) of a remote server's users in some rooms; rooms without one are
 * omitted.
 */
export async function loadServerMemberships(
  db: Db,
  server: ServerName,
  roomIds: readonly RoomId[],
): Promise<{ room_id: RoomId; membership: 'join' | 'invite' }[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ room_id: RoomId; membership: 'join' | 'invite' }>`
    select room_id, 'join' as membership from room_servers where room_id = any(${roomIds}::text[]) and server_name = ${server}
    union all
    select distinct room_id, 'invite' from room_memberships where room_id = any(${roomIds}::text[]) and membership = 'invite'
      and substr(user_id, strpos(user_id, ':') + 1) = ${server}
      and not exists (select 1 from room_servers where room_servers.room_id = room_memberships.room_id and server_name = ${server})`.execute(
    db.sql,
  )
  return rows
}

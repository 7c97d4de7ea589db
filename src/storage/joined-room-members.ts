import { sql } from 'kysely'
import type { RoomId, ServerName, UserId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'
import { recountRoomServers } from './other-servers.ts'
import { storableText } from './storable-text.ts'

/** A member as the state of a room has it. */
export type JoinedRoomMember = {
  user_id: string
  event_nid: number
  membership: string
  displayname: string | null
  avatar_url: string | null
}

const CHUNK = 5000

/**
 * Makes these the members of a room and counts them: for rooms that another server hands over as a whole, with more members than there could be
 * single changes of. Each user is there once.
 */
export async function replaceMembers(
  tx: Tx,
  ourName: ServerName,
  { roomId, members }: { roomId: RoomId; members: readonly JoinedRoomMember[] },
): Promise<void> {
  for (let start = 0; start < members.length; start += CHUNK) {
    await insertMembers(tx, roomId, members.slice(start, start + CHUNK))
  }
  await sql`delete from room_memberships where room_id = ${roomId}
    and user_id not in (select unnest(${members.map((member) => member.user_id)}::text[]))`.execute(tx.sql)
  await sql`update rooms set joined_members = counts.joined, invited_members = counts.invited
    from (select count(*) filter (where membership = 'join') as joined, count(*) filter (where membership = 'invite') as invited
      from room_memberships where room_id = ${roomId}) as counts
    where room_id = ${roomId}`.execute(tx.sql)
  await recountRoomServers(tx, ourName, [roomId])
}

async function insertMembers(tx: Tx, roomId: RoomId, members: readonly JoinedRoomMember[]): Promise<void> {
  const text = (value: string | null) => (value === null ? null : storableText(value))
  await sql`insert into room_memberships (room_id, user_id, membership, event_nid, displayname, avatar_url)
    select ${roomId}, * from unnest(${members.map((member) => member.user_id)}::text[],
      ${members.map((member) => storableText(member.membership))}::text[], ${members.map((member) => member.event_nid)}::bigint[],
      ${members.map((member) => text(member.displayname))}::text[], ${members.map((member) => text(member.avatar_url))}::text[])
    on conflict (room_id, user_id) do update set membership = excluded.membership, event_nid = excluded.event_nid,
      displayname = excluded.displayname, avatar_url = excluded.avatar_url,
      forgotten = room_memberships.forgotten and excluded.membership in ('leave', 'ban')`.execute(tx.sql)
}

/** What users of this server are in a room. */
export async function loadOwnMembers(
  db: Db,
  ourName: ServerName,
  roomId: RoomId,
): Promise<Map<UserId, { membership: string; event_nid: number }>> {
  const { rows } = await sql<{
    user_id: UserId
    membership: string
    event_nid: number
  }>`select user_id, membership, event_nid
    from room_memberships where room_id = ${roomId} and substr(user_id, strpos(user_id, ':') + 1) = ${ourName}`.execute(
    db.sql,
  )
  return new Map(rows.map(({ user_id, ...member }) => [user_id, member]))
}

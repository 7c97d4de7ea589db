import { sql } from 'kysely'
import { isUserId, type RoomId, type ServerName, type UserId } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import type { Db, Tx } from '../../engine/database.ts'
import { shownText, storableText } from '../../engine/storable-text.ts'
import { allOf } from '../../engine/transactions.ts'
import { recountRoomServers } from './other-servers.ts'

/** A member in the state of a room. */
export type JoinedRoomMember = {
  user_id: string
  event_nid: number
  membership: string
  displayname: string | null
  avatar_url: string | null
}

const CHUNK = 5000

/** Returns the member of an event; undefined for other event types and for invalid user ids. */
export function joinedRoomMember(pdu: Pdu, event_nid: number): JoinedRoomMember | undefined {
  if (pdu.type !== 'm.room.member' || pdu.state_key === undefined || !isUserId(pdu.state_key)) return undefined
  const { membership, displayname, avatar_url } = pdu.content
  const text = (value: unknown) => (typeof value === 'string' ? shownText(value) : null)
  return {
    user_id: pdu.state_key,
    event_nid,
    membership: String(membership),
    displayname: text(displayname),
    avatar_url: text(avatar_url),
  }
}

/**
 * Replaces and counts all members of a room: for a room that another server returns completely, which has too many
 * members for single changes. Each user occurs once. `keepsOwn`: the list is partial, and known local members stay.
 */
export async function replaceMembers(
  tx: Tx,
  ourName: ServerName,
  { roomId, members, keepsOwn }: { roomId: RoomId; members: readonly JoinedRoomMember[]; keepsOwn: boolean },
): Promise<void> {
  await insertMembers(tx, roomId, members)
  const left = sql`delete from room_memberships where room_id = ${roomId}
    and user_id not in (select unnest(${members.map((member) => member.user_id)}::text[]))
    and (not ${keepsOwn}::boolean or substr(user_id, strpos(user_id, ':') + 1) <> ${ourName})`.execute(tx.sql)
  await allOf([left, recount(tx, ourName, roomId)])
}

/**
 * Adds members of a room that became known or differ from what was assumed, and removes users who are not members;
 * updates the counts.
 */
export async function storeFoundMembers(
  tx: Tx,
  ourName: ServerName,
  { roomId, found, lost }: { roomId: RoomId; found: readonly JoinedRoomMember[]; lost: readonly string[] },
): Promise<void> {
  await sql`delete from room_memberships where room_id = ${roomId} and user_id = any(${lost}::text[])`.execute(tx.sql)
  await insertMembers(tx, roomId, found)
  await recount(tx, ourName, roomId)
}

async function recount(tx: Tx, ourName: ServerName, roomId: RoomId): Promise<void> {
  await allOf([recountMembers(tx, ourName, roomId), recountRoomServers(tx, ourName, [roomId])])
}

/** Counts the members of a room again. */
export async function recountMembers(tx: Tx, ourName: ServerName, roomId: RoomId): Promise<void> {
  await sql`update rooms set joined_members = counts.joined, joined_local_members = counts.joined_local,
      invited_members = counts.invited, member_events = counts.all
    from (select count(*) filter (where membership = 'join') as joined, count(*) filter (where membership = 'invite') as invited,
        count(*) filter (where membership = 'join' and substr(user_id, strpos(user_id, ':') + 1) = ${ourName}) as joined_local,
        count(*) as "all"
      from room_memberships where room_id = ${roomId}) as counts
    where room_id = ${roomId}`.execute(tx.sql)
}

async function insertMembers(tx: Tx, roomId: RoomId, members: readonly JoinedRoomMember[]): Promise<void> {
  for (let start = 0; start < members.length; start += CHUNK) {
    await insertChunk(tx, roomId, members.slice(start, start + CHUNK))
  }
}

async function insertChunk(tx: Tx, roomId: RoomId, members: readonly JoinedRoomMember[]): Promise<void> {
  await sql`insert into room_memberships (room_id, user_id, membership, event_nid, displayname, avatar_url)
    select ${roomId}, * from unnest(${members.map((member) => member.user_id)}::text[],
      ${members.map((member) => storableText(member.membership))}::text[], ${members.map((member) => member.event_nid)}::bigint[],
      ${members.map(({ displayname }) => displayname)}::text[], ${members.map(({ avatar_url }) => avatar_url)}::text[])
    on conflict (room_id, user_id) do update set membership = excluded.membership, event_nid = excluded.event_nid,
      displayname = excluded.displayname, avatar_url = excluded.avatar_url,
      forgotten = room_memberships.forgotten and excluded.membership in ('leave', 'ban')`.execute(tx.sql)
}

/** Returns the memberships of local users in a room. */
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

/** Returns the local users who have joined some rooms. */
export async function loadJoinedOfServer(
  db: Db,
  ourName: ServerName,
  roomIds: readonly RoomId[],
): Promise<{ userId: UserId; roomId: RoomId }[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ userId: UserId; roomId: RoomId }>`select user_id as "userId", room_id as "roomId"
    from room_memberships where room_id = any(${roomIds}::text[]) and membership = 'join'
      and substr(user_id, strpos(user_id, ':') + 1) = ${ourName}`.execute(db.sql)
  return rows
}

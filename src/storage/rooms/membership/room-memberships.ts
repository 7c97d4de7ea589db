import { sql } from 'kysely'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import type { Db, Tx } from '../../engine/database.ts'
import { sharedLoads } from '../../engine/shared-loads.ts'
import { shownText } from '../../engine/storable-text.ts'
import type { RoomMembershipRow } from '../../schema/rooms.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'

/** The change of a room's member counts; `all`: with any membership. */
export type MemberCountChange = { room_id: RoomId; joined: number; joined_local: number; invited: number; all: number }

/** A change of a user's membership; `event` undefined: it was removed. */
export type MembershipChangeRow = { room_id: RoomId; state_key: string; event: StoredEvent | undefined }

/** Applies member changes to the table of current memberships; returns how each room's counts changed. */
export async function storeMemberships(
  tx: Tx,
  ourName: ServerName,
  changes: readonly MembershipChangeRow[],
): Promise<MemberCountChange[]> {
  const present = changes.filter(
    (change): change is MembershipChangeRow & { event: StoredEvent } => change.event !== undefined,
  )
  const counts = await upsertMemberships(tx, ourName, present)
  if (present.length === changes.length) return counts
  return [
    ...counts,
    ...(await deleteMemberships(
      tx,
      ourName,
      changes.filter(({ event }) => event === undefined),
    )),
  ]
}

async function upsertMemberships(
  tx: Tx,
  ourName: ServerName,
  changes: readonly (MembershipChangeRow & { event: StoredEvent })[],
): Promise<MemberCountChange[]> {
  if (changes.length === 0) return []
  const text = ({ event }: { event: StoredEvent }, key: string): string | null => {
    const value = event.pdu.content[key]
    return typeof value === 'string' ? shownText(value) : null
  }
  const rooms = changes.map((change) => change.room_id)
  const users = changes.map((change) => change.state_key)
  const { rows } = await sql<MemberCountChange>`with new as (
      select * from unnest(${rooms}::text[], ${users}::text[], ${changes.map((change) => text(change, 'membership'))}::text[],
        ${changes.map(({ event }) => event.event_nid)}::bigint[], ${changes.map((change) => text(change, 'displayname'))}::text[],
        ${changes.map((change) => text(change, 'avatar_url'))}::text[]) as new(room_id, user_id, membership, event_nid, displayname, avatar_url)
    ), old as (
      select room_id, user_id, room_memberships.membership from room_memberships join new using (room_id, user_id)
    ), stored as (
      insert into room_memberships (room_id, user_id, membership, event_nid, displayname, avatar_url) select * from new
      on conflict (room_id, user_id) do update set membership = excluded.membership, event_nid = excluded.event_nid,
        displayname = excluded.displayname, avatar_url = excluded.avatar_url,
        forgotten = room_memberships.forgotten and excluded.membership in ('leave', 'ban')
    ), changes as (
      select room_id, user_id, membership, 1 as by from new
      union all select room_id, user_id, membership, -1 from old
    )
    select room_id, coalesce(sum(by) filter (where membership = 'join'), 0)::int as joined,
      coalesce(sum(by) filter (where membership = 'join' and substr(user_id, strpos(user_id, ':') + 1) = ${ourName}), 0)::int
        as joined_local,
      coalesce(sum(by) filter (where membership = 'invite'), 0)::int as invited, sum(by)::int as "all"
    from changes group by room_id`.execute(tx.sql)
  return rows
}

async function deleteMemberships(
  tx: Tx,
  ourName: ServerName,
  changes: readonly MembershipChangeRow[],
): Promise<MemberCountChange[]> {
  const { rows } = await sql<MemberCountChange>`with gone as (
      delete from room_memberships using unnest(${changes.map(({ room_id }) => room_id)}::text[],
        ${changes.map(({ state_key }) => state_key)}::text[]) as old(room_id, user_id)
      where room_memberships.room_id = old.room_id and room_memberships.user_id = old.user_id
      returning room_memberships.room_id, room_memberships.user_id, room_memberships.membership
    )
    select room_id, -(count(*) filter (where membership = 'join'))::int as joined,
      -(count(*) filter (where membership = 'join' and substr(user_id, strpos(user_id, ':') + 1) = ${ourName}))::int
        as joined_local,
      -(count(*) filter (where membership = 'invite'))::int as invited, -count(*)::int as "all"
    from gone group by room_id`.execute(tx.sql)
  return rows
}

/** Returns a user's current membership of a room; undefined if there never was one. */
export async function findMembership(db: Db, roomId: RoomId, userId: UserId): Promise<RoomMembershipRow | undefined> {
  const { rows } =
    await sql<RoomMembershipRow>`select * from room_memberships where room_id = ${roomId} and user_id = ${userId}`.execute(
      db.sql,
    )
  return rows[0]
}

/** Returns a user's current memberships of some rooms; rooms without one are omitted. */
export async function findMemberships(
  db: Db,
  userId: UserId,
  roomIds: readonly RoomId[],
): Promise<RoomMembershipRow[]> {
  const memberships = await loadMemberships(
    db,
    roomIds.map((roomId) => membershipKey(roomId, userId)),
  )
  return [...memberships.values()]
}

function membershipKey(roomId: RoomId, userId: UserId): string {
  return `${roomId}\0${userId}`
}

/** Shared, because callers that read several rooms request each of them. */
const loadMemberships = sharedLoads<string, RoomMembershipRow>(
  async (db, keys) => {
    const pairs = keys.map((key) => key.split('\0'))
    const { rows } = await sql<RoomMembershipRow>`select room_memberships.* from room_memberships
      join unnest(${pairs.map(([roomId]) => roomId)}::text[], ${pairs.map(([, userId]) => userId)}::text[])
        as wanted(room_id, user_id) using (room_id, user_id)`.execute(db.sql)
    return new Map(rows.map((row) => [membershipKey(row.room_id, row.user_id), row]))
  },
  { whileReading: false },
)

/** Returns all memberships of a user, or those of some kinds, without forgotten rooms. */
export async function loadUserMemberships(
  db: Db,
  userId: UserId,
  memberships: readonly Membership[] = ['join', 'invite', 'knock', 'leave', 'ban'],
): Promise<RoomMembershipRow[]> {
  const { rows } = await sql<RoomMembershipRow>`select * from room_memberships where user_id = ${userId}
    and membership = any(${memberships}::text[]) and not forgotten`.execute(db.sql)
  return rows
}

/** Returns the members of a room with one of these memberships. */
export async function loadRoomMemberships(
  db: Db,
  roomId: RoomId,
  memberships: readonly Membership[],
): Promise<RoomMembershipRow[]> {
  const { rows } = await sql<RoomMembershipRow>`select * from room_memberships where room_id = ${roomId}
    and membership = any(${memberships}::text[])`.execute(db.sql)
  return rows
}

/** Returns a page of the users with a membership of a room, by user ID. */
export async function listRoomMembers(
  db: Db,
  { roomId, membership, after, limit }: { roomId: RoomId; membership: Membership; after: string; limit: number },
): Promise<RoomMembershipRow[]> {
  const { rows } = await sql<RoomMembershipRow>`select * from room_memberships where room_id = ${roomId}
    and membership = ${membership} and user_id > ${after} order by user_id limit ${limit}::int`.execute(db.sql)
  return rows
}

const PAGE = 1000

/** Yields the joined members of a room in pages. */
export async function* loadJoinedMembers(db: Db, roomId: RoomId): AsyncGenerator<RoomMembershipRow[]> {
  let after = ''
  for (;;) {
    const { rows } = await sql<RoomMembershipRow>`select * from room_memberships where room_id = ${roomId}
      and membership = 'join' and user_id > ${after} order by user_id limit ${PAGE}::int`.execute(db.sql)
    const last = rows.at(-1)
    if (!last) return
    yield rows
    after = last.user_id
  }
}

/** Hides a room from the user's lists, if the user has left it. */
export async function hideRoom(tx: Tx, roomId: RoomId, userId: UserId): Promise<void> {
  await sql`update room_memberships set forgotten = true where room_id = ${roomId} and user_id = ${userId}
    and membership in ('leave', 'ban')`.execute(tx.sql)
}

/** Whether a user has joined at least one of some rooms. */
export async function isJoinedToAny(db: Db, userId: UserId, roomIds: readonly RoomId[]): Promise<boolean> {
  if (roomIds.length === 0) return false
  const { rows } =
    await sql`select 1 from room_memberships where user_id = ${userId} and room_id = any(${roomIds}::text[])
    and membership = 'join' limit 1`.execute(db.sql)
  return rows.length > 0
}

/** Returns which of some rooms a user has joined. */
export async function loadJoinedAmong(db: Db, userId: UserId, roomIds: readonly RoomId[]): Promise<RoomId[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from room_memberships where user_id = ${userId}
    and room_id = any(${roomIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows.map((row) => row.room_id)
}

/** Returns any joined member of a room: one of `among`, or one of a server who is not in `except`. */
export async function findJoinedUser(
  db: Db,
  query: { roomId: RoomId } & ({ among: readonly UserId[] } | { server: ServerName; except: readonly UserId[] }),
): Promise<UserId | undefined> {
  const chosen =
    'among' in query
      ? sql`user_id = any(${query.among}::text[])`
      : sql`substr(user_id, strpos(user_id, ':') + 1) = ${query.server} and not user_id = any(${query.except}::text[])`
  const { rows } = await sql<{ user_id: UserId }>`select user_id from room_memberships where room_id = ${query.roomId}
    and membership = 'join' and ${chosen} limit 1`.execute(db.sql)
  return rows[0]?.user_id
}

/** Returns the local guests who have joined a room. */
export async function loadJoinedGuests(db: Db, roomId: RoomId): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from users join room_memberships using (user_id)
    where is_guest and room_id = ${roomId} and membership = 'join'`.execute(db.sql)
  return rows.map((row) => row.user_id)
}

/** Whether a user has or ever had a membership of a room of this server. */
export async function isInAnyRoom(db: Db, userId: UserId): Promise<boolean> {
  const { rows } = await sql`select 1 from room_memberships where user_id = ${userId} limit 1`.execute(db.sql)
  return rows.length > 0
}

/**
 * Returns the rooms that each of some users has joined. Shared, because all members of a room request it when a user
 * changes.
 */
export const loadJoinedRooms = sharedLoads<UserId, RoomId[]>(
  async (db, userIds) => {
    const { rows } = await sql<{ user_id: UserId; rooms: RoomId[] }>`select user_id, array_agg(room_id) as rooms
      from room_memberships where user_id = any(${userIds}::text[]) and membership = 'join' group by user_id`.execute(
      db.sql,
    )
    return new Map(rows.map((row) => [row.user_id, row.rooms]))
  },
  { whileReading: false },
)

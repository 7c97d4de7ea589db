import { sql } from 'kysely'
import type { RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import { recountRoomServers } from '../rooms/membership/other-servers.ts'
import type { RoomHeadRow, RoomMembershipRow } from '../schema/rooms.ts'
import type { Tables } from '../schema/tables.ts'
import { insertRows } from './insert-rows.ts'

/** The head of an imported room. */
export type ImportedHead = Omit<RoomHeadRow, 'has_other_servers' | 'is_partial' | 'recomputations' | 'sticky_until'> & {
  begin_depth: number
  activity: number
  bump: number
}

/** Local users who are no longer in a room, and whether they were. */
export type FormerMember = { room_id: RoomId; user_id: UserId; was_joined: boolean }

/** Rooms whose events are stored, with all that follows from their states. */
export type ImportedRooms = {
  heads: readonly ImportedHead[]
  rooms: readonly Tables['rooms'][]
  members: readonly RoomMembershipRow[]
  former: readonly FormerMember[]
  nidShift: number
}

/** Stores heads, summaries, members and lists of rooms. */
export async function storeImportedRooms(tx: Tx, ourName: ServerName, imported: ImportedRooms): Promise<void> {
  const { heads, rooms, members, former, nidShift } = imported
  await insertRows(tx, 'rooms', rooms)
  await insertRows(
    tx,
    'room_heads',
    heads.map((head) => ({ ...head, is_partial: false })),
  )
  await insertRows(tx, 'room_memberships', members)
  const roomIds = heads.map(({ room_id }) => room_id)
  await recountRoomServers(tx, ourName, roomIds)
  await sql`update events set room_after = head.state_root from room_heads as head
    where head.room_id = any(${roomIds}::text[]) and events.room_id = head.room_id
      and events.event_order = head.next_order - 1 and events.state_after is distinct from head.state_root`.execute(
    tx.sql,
  )
  await forgetFilledGaps(tx, roomIds)
  await orderLists(
    tx,
    members.map(({ room_id }) => room_id),
    nidShift,
  )
  await listFormerMembers(tx, former)
}

/** A missing event may have arrived after the event that references it. */
async function forgetFilledGaps(tx: Tx, roomIds: readonly RoomId[]): Promise<void> {
  await sql`delete from missing_prev_events using events where missing_prev_events.room_id = any(${roomIds}::text[])
    and events.event_id = missing_prev_events.event_id and events.event_order is not null`.execute(tx.sql)
}

/** Lists of joined rooms follow the rooms' last events, other rooms the users' member events. */
async function orderLists(tx: Tx, roomIds: readonly RoomId[], nidShift: number): Promise<void> {
  await sql`update room_lists set activity = case when membership = 'join'
      then coalesce((select activity from room_heads where room_heads.room_id = room_lists.room_id), 0)
      else event_nid - ${nidShift}::bigint end
    where room_id = any(${[...new Set(roomIds)]}::text[])`.execute(tx.sql)
}

/** Users see a room that they were removed from, and not one that they left. */
async function listFormerMembers(tx: Tx, former: readonly FormerMember[]): Promise<void> {
  if (former.length === 0) return
  await sql`update room_lists set was_joined = former.was_joined,
      is_listed = not forgotten and (select sender from events where events.event_nid = room_lists.event_nid)
        is distinct from room_lists.user_id
    from unnest(${former.map(({ room_id }) => room_id)}::text[], ${former.map(({ user_id }) => user_id)}::text[],
      ${former.map(({ was_joined }) => was_joined)}::boolean[]) as former(room_id, user_id, was_joined)
    where room_lists.room_id = former.room_id and room_lists.user_id = former.user_id
      and membership in ('leave', 'ban')`.execute(tx.sql)
}

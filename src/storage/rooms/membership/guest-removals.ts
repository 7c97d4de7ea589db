import { sql } from 'kysely'
import type { Tx } from '../../engine/database.ts'
import { type LockedRoom, roomIdOf, type StateChange } from '../timeline/locked-room.ts'

/** The job that makes guests leave a room that no longer allows them. Its key is the room. */
export const REMOVE_GUESTS = 'remove_guests'

/**
 * Enqueues the removal of guests from rooms that have just stopped allowing them, for any sender and any kind of
 * change.
 */
export async function noteGuestAccess(
  tx: Tx,
  changes: readonly { room: LockedRoom; change: StateChange }[],
): Promise<void> {
  const roomIds = changes
    .filter(({ change: { type, state_key } }) => type === 'm.room.guest_access' && state_key === '')
    .filter(({ change: { event } }) => event?.pdu.content.guest_access !== 'can_join')
    .map(({ room }) => roomIdOf(room))
  if (roomIds.length === 0) return
  // Due immediately, by any clock.
  await sql`insert into jobs (kind, key, payload, created_ts, due_ts)
    select ${REMOVE_GUESTS}, room_id, json_build_object('room_id', room_id)::text,
      (extract(epoch from statement_timestamp()) * 1000)::bigint, 0
    from unnest(${roomIds}::text[]) as closed(room_id)
    where exists (select 1 from room_memberships join users using (user_id)
      where room_memberships.room_id = closed.room_id and membership = 'join' and is_guest)
    on conflict (kind, key) do update set version = jobs.version + 1, due_ts = 0, attempts = 0`.execute(tx.sql)
}

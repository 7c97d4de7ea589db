import { type RawBuilder, sql } from 'kysely'
import type { EventId, RoomId, ServerName } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import { announceQueued } from './federation-outbox.ts'

/**
 * Selects the sticky events of rooms that this server has to send: those of its own users, as other servers do with
 * theirs. `room_ids`: an SQL expression. https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 */
function ownSticky(room_ids: RawBuilder<unknown>, now: number): RawBuilder<unknown> {
  return sql`select sticky_events.room_id, event_nid, depth, event_id from sticky_events join events using (event_nid)
    where sticky_events.room_id = any(${room_ids}) and is_ours and expires_ts > ${now}::bigint
      and not events.soft_failed and events.rejected is null and events.redacted_by is null
      and not exists (select 1 from users where user_id = sticky_events.sender and erased)`
}

/** Members that a room gained from a server; they are stored already. */
type Gain = { room_id: RoomId; server_name: ServerName; by: number }

/** Enqueues the sticky events of rooms for the servers that entered them by these joins. */
export async function queueStickyForNewServers(tx: Tx, joins: readonly Gain[], now: number): Promise<void> {
  if (joins.length === 0) return
  const { rows } = await sql<{ destination: ServerName }>`with entered as (
      select room_id, server_name as destination from unnest(${joins.map(({ room_id }) => room_id)}::text[],
        ${joins.map(({ server_name }) => server_name)}::text[], ${joins.map(({ by }) => by)}::int[])
        as joins(room_id, server_name, by) join room_servers using (room_id, server_name) where joined_members = by
    ), known as (
      select entered.*, event_nid, depth, coalesce(needs_catch_up, false) as is_noted, coalesce(failures, 0) = 0 as is_up
      from entered join (${ownSticky(sql`array(select room_id from entered)`, now)}) as sticky using (room_id)
        left join federation_destinations using (destination)
    ), noted as (
      insert into federation_room_notes (destination, room_id) select distinct destination, room_id from known where is_noted
      order by destination, room_id on conflict do nothing
    ), queued as (
      insert into federation_queue (destination, room_id, event_nid)
      select destination, room_id, event_nid from known where not is_noted order by depth, event_nid
    )
    select distinct destination from known where is_up`.execute(tx.sql)
  announceQueued(
    tx,
    rows.map((row) => row.destination),
  )
}

/**
 * Enqueues the sticky events of rooms for a destination in catch-up, which may have missed any of them. `latest`: events
 * that it gets anyway.
 */
export async function queueStickyForCatchUp(
  tx: Tx,
  destination: ServerName,
  { roomIds, latest, now }: { roomIds: readonly RoomId[]; latest: readonly EventId[]; now: number },
): Promise<void> {
  if (roomIds.length === 0) return
  await sql`insert into federation_queue (destination, room_id, event_nid)
    select ${destination}, room_id, event_nid from (${ownSticky(sql`${roomIds}::text[]`, now)}) as sticky
    where event_id <> all(${latest}::text[]) order by depth, event_nid`.execute(tx.sql)
}

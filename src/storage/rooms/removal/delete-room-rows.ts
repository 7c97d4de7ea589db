import { type QueryResult, sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import type { Tx } from '../../engine/database.ts'

/** Rows deleted in one transaction: some milliseconds, for which others wait on the embedded database. */
const BATCH = 500

/**
 * Deletes some rows of a room whose removal has begun. `from`: 0, or where the call before says to go on. Returns how
 * many, and where to go on; undefined: none are left.
 */
export async function deleteRoomRows(
  tx: Tx,
  roomId: RoomId,
  from: number,
): Promise<{ deleted: number; from: number | undefined }> {
  for (let table = from; table < DELETIONS.length; table++) {
    const { numAffectedRows = 0n } = await DELETIONS[table]!(tx, roomId)
    if (numAffectedRows > 0n) return { deleted: Number(numAffectedRows), from: table }
  }
  return { deleted: 0, from: undefined }
}

type Deletion = (tx: Tx, roomId: RoomId) => Promise<QueryResult<unknown>>

/** Rows that belong to users are found by the users who were in the room, rows of outboxes by their destinations. */
const DELETIONS: readonly Deletion[] = [
  (tx, roomId) => sql`delete from federation_inbox_rooms where room_id = ${roomId}`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from federation_inbox where ctid = any(array(select ctid from federation_inbox
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from federation_queue where queue_nid in (select queue_nid from federation_destinations
        join federation_queue using (destination) where room_id = ${roomId} limit ${BATCH}::int)`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from federation_room_notes where room_id = ${roomId}
        and destination in (select destination from federation_destinations)`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from appservice_members where room_id = ${roomId}
        and appservice_id in (select appservice_id from appservices)`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from sliding_rooms where room_id = ${roomId} and connection_nid in (select connection_nid
        from room_departures join sliding_connections using (user_id) where room_id = ${roomId})`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from push_queue where queue_nid in (select queue_nid from room_departures
        join pushers using (user_id) join push_queue using (pusher_nid) join events using (event_nid)
        where room_departures.room_id = ${roomId} and events.room_id = ${roomId} limit ${BATCH}::int)`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from notifications where ctid = any(array(select notifications.ctid from room_departures
        join notifications using (user_id, room_id) where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from notification_progress where room_id = ${roomId}
        and user_id in (select user_id from room_departures where room_id = ${roomId})`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from thread_subscriptions where room_id = ${roomId}
        and user_id in (select user_id from room_departures where room_id = ${roomId})`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from delayed_events where room_id = ${roomId}
        and user_id in (select user_id from room_departures where room_id = ${roomId})`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from erasures where room_id = ${roomId}
        and user_id in (select user_id from room_departures where room_id = ${roomId})`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from server_notice_rooms where room_id = ${roomId}
        and user_id in (select user_id from room_departures where room_id = ${roomId})`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from account_data where ctid = any(array(select ctid from account_data
        where room_id = ${roomId} and room_id <> '' limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) => sql`delete from room_joins where room_id = ${roomId}`.execute(tx.sql),
  (tx, roomId) => sql`delete from room_contacts where room_id = ${roomId}`.execute(tx.sql),
  (tx, roomId) => sql`delete from typing where room_id = ${roomId}`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from receipts where ctid = any(array(select ctid from receipts
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from sticky_events where ctid = any(array(select ctid from sticky_events
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from partial_events where ctid = any(array(select ctid from partial_events
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from missing_prev_events where ctid = any(array(select ctid from missing_prev_events
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from early_redactions where ctid = any(array(select ctid from early_redactions
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from redacted_state where ctid = any(array(select ctid from redacted_state
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from search_events where ctid = any(array(select ctid from search_events
        where tokens && array[${roomId}] and room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from room_memberships where ctid = any(array(select ctid from room_memberships
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from stream where ctid = any(array(select ctid from stream
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from state_packs where ctid = any(array(select ctid from state_packs
        where room_id = ${roomId} limit ${BATCH}::int))`.execute(tx.sql),
  (tx, roomId) =>
    sql`delete from events where ctid = any(array(select ctid from (
          (select ctid from events where room_id = ${roomId} and event_order is not null limit ${BATCH}::int)
          union all (select ctid from events where room_id = ${roomId} and event_order is null limit ${BATCH}::int)
        ) as found))`.execute(tx.sql),
]

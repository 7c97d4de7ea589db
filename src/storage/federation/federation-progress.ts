import { sql } from 'kysely'
import type { ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { StreamRow } from '../schema/stream.ts'

/** Starts to follow the stream after a position, unless already started. */
export async function beginFollowing(tx: Tx, position: number): Promise<void> {
  await sql`update federation_progress set stream_position = ${position}::bigint where stream_position is null`.execute(
    tx.sql,
  )
}

/**
 * Locks the progress until the transaction ends; returns the position to continue from, or undefined if another process
 * has the lock or nothing has to be followed.
 */
export async function lockProgress(tx: Tx): Promise<number | undefined> {
  const { rows } = await sql<{ stream_position: number }>`select stream_position from federation_progress
    where stream_position is not null for update skip locked`.execute(tx.sql)
  return rows[0]?.stream_position
}

/**
 * Returns stream rows after a position that may concern other servers, oldest first, and the position up to which there
 * are no others. Omits rows of the rooms in which a device list changed.
 */
export async function loadRowsForServers(
  db: Db,
  after: number,
  limit: number,
): Promise<{ rows: StreamRow[]; to: number }> {
  const last = await sql<{ to: number | null }>`select max(stream_position) as to from stream`.execute(db.sql)
  const to = last.rows[0]?.to ?? after
  const { rows } = await sql<StreamRow>`select * from stream
    where stream_position > ${after}::bigint and stream_position <= ${to}::bigint
      and (kind in ('typing', 'receipt', 'presence') or (kind = 'device_list' and room_id is null)
        or (kind in ('event', 'state') and user_id is not null) or kind = 'room_complete')
    order by stream_position limit ${limit}::int`.execute(db.sql)
  return { rows, to: rows.length === limit ? rows.at(-1)!.stream_position : to }
}

/** Stores the position to continue from. */
export async function storeProgress(tx: Tx, position: number): Promise<void> {
  await sql`update federation_progress set stream_position = ${position}::bigint`.execute(tx.sql)
}

/**
 * Claims the next resend of presence to other servers; false if one was done after `before` (milliseconds since 1970).
 */
export async function claimPresenceRound(tx: Tx, { now, before }: { now: number; before: number }): Promise<boolean> {
  const { rows } = await sql`update federation_progress set presence_ts = ${now}::bigint
    where presence_ts <= ${before}::bigint and stream_position is not null returning 1`.execute(tx.sql)
  return rows.length > 0
}

/** Returns the last device list change of users that was sent to other servers; users without one are absent. */
export async function loadDeviceStreams(db: Db, userIds: readonly UserId[]): Promise<Map<UserId, number>> {
  const { rows } = await sql<{ user_id: UserId; stream_id: number }>`select * from device_list_streams
    where user_id = any(${userIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id, row.stream_id]))
}

/** Stores the last device list changes that are being sent. */
export async function storeDeviceStreams(tx: Tx, streams: ReadonlyMap<UserId, number>): Promise<void> {
  await sql`insert into device_list_streams (user_id, stream_id)
    select * from unnest(${[...streams.keys()]}::text[], ${[...streams.values()]}::bigint[])
    on conflict (user_id) do update set stream_id = excluded.stream_id`.execute(tx.sql)
}

/** Returns the presence of local users in a room who are online; at most `limit`. */
export async function loadPresentLocals(
  db: Db,
  roomIds: readonly string[],
  limit: number,
): Promise<{ room_id: string; user_id: UserId }[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ room_id: string; user_id: UserId }>`select room_id, user_id
    from room_memberships join presence using (user_id)
    where room_id = any(${roomIds}::text[]) and membership = 'join' and heard_ts is null and presence <> 'offline'
    limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Returns which servers have only this member in a room. */
export async function filterNewServers(
  db: Db,
  joins: readonly { roomId: string; server: ServerName }[],
): Promise<{ roomId: string; server: ServerName }[]> {
  if (joins.length === 0) return []
  const { rows } = await sql<{
    roomId: string
    server: ServerName
  }>`select distinct room_id as "roomId", server_name as server
    from room_servers join unnest(${joins.map((join) => join.roomId)}::text[], ${joins.map((join) => join.server)}::text[])
      as joined(room_id, server_name) using (room_id, server_name)
    where joined_members = 1`.execute(db.sql)
  return rows
}

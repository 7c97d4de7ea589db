import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { KeyBackupSessionRow } from '../schema/devices.ts'
import type { BackupKey } from './key-backups.ts'

/** The key of a session in a backup; `session_data` is JSON. */
export type BackedUpSession = Omit<KeyBackupSessionRow, 'user_id' | 'version'>

/** Selects sessions of a backup: all, those of a room, or one. */
export type SessionRange = { roomId?: RoomId | undefined; sessionId?: string | undefined }

/** The effect of a change on a backup: whether anything changed, and how many keys and bytes were added. */
export type BackupChange = { isChanged: boolean; keys: number; bytes: number }

type Difference = { changed: number; keys: number; bytes: number }

/** The counted bytes of a key, including its names. */
const BYTES = sql`octet_length(session_data) + octet_length(room_id) + octet_length(session_id)`

/**
 * Stores keys; of two keys for the same session, the better one is kept.
 * https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
 */
export async function storeBackupSessions(
  tx: Tx,
  { userId, version }: BackupKey,
  sessions: readonly BackedUpSession[],
): Promise<BackupChange> {
  const column = <Value>(pick: (session: BackedUpSession) => Value): Value[] => sessions.map(pick)
  const { rows } = await sql<Difference>`with given as materialized (
      select * from unnest(${column((session) => session.room_id)}::text[],
        ${column((session) => session.session_id)}::text[], ${column((session) => session.first_message_index)}::bigint[],
        ${column((session) => session.forwarded_count)}::bigint[], ${column((session) => session.is_verified)}::boolean[],
        ${column((session) => session.session_data)}::text[])
        as given(room_id, session_id, first_message_index, forwarded_count, is_verified, session_data)
    ), before as (
      select room_id, session_id, ${BYTES} as bytes from key_backup_sessions
      where user_id = ${userId} and version = ${version}::bigint
        and (room_id, session_id) in (select room_id, session_id from given)
    ), stored as (
      insert into key_backup_sessions as old (user_id, version, room_id, session_id,
        first_message_index, forwarded_count, is_verified, session_data)
      select ${userId}, ${version}::bigint, given.* from given
      on conflict (user_id, version, room_id, session_id) do update set
        first_message_index = excluded.first_message_index, forwarded_count = excluded.forwarded_count,
        is_verified = excluded.is_verified, session_data = excluded.session_data
      where (excluded.is_verified, -excluded.first_message_index, -excluded.forwarded_count)
        > (old.is_verified, -old.first_message_index, -old.forwarded_count)
      returning room_id, session_id, ${BYTES} as bytes
    )
    select count(*)::int as changed, (count(*) - count(before.bytes))::int as keys,
      coalesce(sum(stored.bytes - coalesce(before.bytes, 0)), 0)::float8 as bytes
    from stored left join before using (room_id, session_id)`.execute(tx.sql)
  return changeOf(rows[0]!)
}

function changeOf({ changed, keys, bytes }: Difference): BackupChange {
  return { isChanged: changed > 0, keys, bytes }
}

/** Maximum keys per page, and their bytes. */
const PAGE = 1000
const PAGE_BYTES = 1024 * 1024

/** Yields the keys in a backup by room and session, in pages, so that a large backup is never completely in memory. */
export async function* loadBackupSessions(
  db: Db,
  { userId, version }: BackupKey,
  range: SessionRange,
): AsyncGenerator<BackedUpSession[]> {
  let after = sql``
  for (;;) {
    const { rows } = await sql<BackedUpSession>`select room_id, session_id, first_message_index, forwarded_count,
        is_verified, session_data from (
        select *, sum(octet_length(session_data)) over (order by room_id, session_id) - octet_length(session_data) as bytes_before from (
          select * from key_backup_sessions
          where user_id = ${userId} and version = ${version}::bigint ${within(range)} ${after}
          order by room_id, session_id limit ${PAGE}::int
        ) as found
      ) as sized where bytes_before < ${PAGE_BYTES}::bigint order by room_id, session_id`.execute(db.sql)
    const last = rows.at(-1)
    if (!last) return
    yield rows
    after = sql`and (room_id, session_id) > (${last.room_id}, ${last.session_id})`
  }
}

/** Deletes keys from a backup. */
export async function deleteBackupSessions(
  tx: Tx,
  { userId, version }: BackupKey,
  range: SessionRange,
): Promise<BackupChange> {
  const { rows } = await sql<Difference>`with gone as (
      delete from key_backup_sessions where user_id = ${userId} and version = ${version}::bigint ${within(range)}
      returning ${BYTES} as bytes
    )
    select count(*)::int as changed, -count(*)::int as keys, -coalesce(sum(bytes), 0)::float8 as bytes from gone`.execute(
    tx.sql,
  )
  return changeOf(rows[0]!)
}

function within({ roomId, sessionId }: SessionRange) {
  const inRoom = roomId === undefined ? sql`` : sql`and room_id = ${roomId}`
  return sessionId === undefined ? inRoom : sql`${inRoom} and session_id = ${sessionId}`
}

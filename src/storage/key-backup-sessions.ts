import { sql } from 'kysely'
import type { RoomId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'
import type { KeyBackupSessionRow } from './encryption-schema.ts'
import type { BackupKey } from './key-backups.ts'

/** The key of a session in a backup; `session_data` is JSON. */
export type BackedUpSession = Omit<KeyBackupSessionRow, 'user_id' | 'version'>

/** Which sessions of a backup: all, those of a room, or one. */
export type SessionRange = { roomId?: RoomId | undefined; sessionId?: string | undefined }

/** Stores keys; of two for the same session the better one stays. Returns how many were stored. https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups */
export async function storeBackupSessions(
  tx: Tx,
  { userId, version }: BackupKey,
  sessions: readonly BackedUpSession[],
): Promise<number> {
  const column = <Value>(pick: (session: BackedUpSession) => Value): Value[] => sessions.map(pick)
  const result = await sql`insert into key_backup_sessions as old (user_id, version, room_id, session_id,
      first_message_index, forwarded_count, is_verified, session_data)
    select ${userId}, ${version}::bigint, * from unnest(${column((session) => session.room_id)}::text[],
      ${column((session) => session.session_id)}::text[], ${column((session) => session.first_message_index)}::bigint[],
      ${column((session) => session.forwarded_count)}::bigint[], ${column((session) => session.is_verified)}::boolean[],
      ${column((session) => session.session_data)}::text[])
    on conflict (user_id, version, room_id, session_id) do update set
      first_message_index = excluded.first_message_index, forwarded_count = excluded.forwarded_count,
      is_verified = excluded.is_verified, session_data = excluded.session_data
    where (excluded.is_verified, -excluded.first_message_index, -excluded.forwarded_count)
      > (old.is_verified, -old.first_message_index, -old.forwarded_count)`.execute(tx.sql)
  return Number(result.numAffectedRows)
}

/** The keys in a backup. */
export async function loadBackupSessions(
  db: Db,
  { userId, version }: BackupKey,
  range: SessionRange,
): Promise<BackedUpSession[]> {
  const { rows } = await sql<BackedUpSession>`select room_id, session_id, first_message_index, forwarded_count,
      is_verified, session_data from key_backup_sessions
    where user_id = ${userId} and version = ${version}::bigint ${within(range)}
    order by room_id, session_id`.execute(db.sql)
  return rows
}

/** How many keys a backup has. */
export async function countBackupSessions(db: Db, { userId, version }: BackupKey): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from key_backup_sessions
    where user_id = ${userId} and version = ${version}::bigint`.execute(db.sql)
  return rows[0]!.count
}

/** Removes keys from a backup; returns how many there were. */
export async function deleteBackupSessions(
  tx: Tx,
  { userId, version }: BackupKey,
  range: SessionRange,
): Promise<number> {
  const result = await sql`delete from key_backup_sessions
    where user_id = ${userId} and version = ${version}::bigint ${within(range)}`.execute(tx.sql)
  return Number(result.numAffectedRows)
}

function within({ roomId, sessionId }: SessionRange) {
  const inRoom = roomId === undefined ? sql`` : sql`and room_id = ${roomId}`
  return sessionId === undefined ? inRoom : sql`${inRoom} and session_id = ${sessionId}`
}

import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { KeyBackupRow } from '../schema/devices.ts'
import { lockUser } from '../users/users.ts'

/** One version of a user's key backup. */
export type BackupKey = { userId: UserId; version: number }

/**
 * The number of deleted versions that are remembered, so that the user's other clients can see that they were deleted.
 */
const DELETED_KEPT = 100

/** Creates a version and returns its number, which is new even among deleted versions. `authData` is JSON. */
export async function insertKeyBackup(
  tx: Tx,
  { userId, algorithm, authData }: { userId: UserId; algorithm: string; authData: string },
): Promise<number> {
  await lockUser(tx, userId)
  const { rows } = await sql<{ version: number }>`insert into key_backups (user_id, version, algorithm, auth_data)
    select ${userId}, coalesce(max(version), 0) + 1, ${algorithm}, ${authData} from key_backups where user_id = ${userId}
    returning version`.execute(tx.sql)
  await sql`delete from key_backups where user_id = ${userId} and version in (select version from key_backups
    where user_id = ${userId} and deleted order by version desc offset ${DELETED_KEPT}::int)`.execute(tx.sql)
  return rows[0]!.version
}

/** Returns the number of a user's backups that are not deleted, and their total size. */
export async function measureKeyBackups(
  db: Db,
  userId: UserId,
): Promise<{ versions: number; keys: number; bytes: number }> {
  const { rows } = await sql<{ versions: number; keys: number; bytes: number }>`select count(*)::int as versions,
      coalesce(sum(key_count), 0)::float8 as keys, coalesce(sum(key_bytes), 0)::float8 as bytes
    from key_backups where user_id = ${userId} and not deleted`.execute(db.sql)
  return rows[0]!
}

/** Returns a version, even a deleted one; undefined if it never existed. */
export async function findKeyBackup(db: Db, { userId, version }: BackupKey): Promise<KeyBackupRow | undefined> {
  const { rows } = await sql<KeyBackupRow>`select * from key_backups
    where user_id = ${userId} and version = ${version}::bigint`.execute(db.sql)
  return rows[0]
}

/** Returns the newest version that is not deleted. */
export async function findCurrentKeyBackup(db: Db, userId: UserId): Promise<KeyBackupRow | undefined> {
  const { rows } = await sql<KeyBackupRow>`select * from key_backups where user_id = ${userId} and not deleted
    order by version desc limit 1`.execute(db.sql)
  return rows[0]
}

/** Like `findKeyBackup`, but locks the version until the transaction ends. */
export async function lockKeyBackup(tx: Tx, { userId, version }: BackupKey): Promise<KeyBackupRow | undefined> {
  const { rows } = await sql<KeyBackupRow>`select * from key_backups
    where user_id = ${userId} and version = ${version}::bigint for no key update`.execute(tx.sql)
  return rows[0]
}

/** Replaces a version's `auth_data` (JSON). */
export async function updateKeyBackup(tx: Tx, { userId, version }: BackupKey, authData: string): Promise<void> {
  await sql`update key_backups set auth_data = ${authData}
    where user_id = ${userId} and version = ${version}::bigint`.execute(tx.sql)
}

/** Counts a change of a version's keys: the number of added keys and bytes. */
export async function noteBackupChange(
  tx: Tx,
  { userId, version }: BackupKey,
  more: { keys: number; bytes: number },
): Promise<void> {
  await sql`update key_backups set etag = etag + 1, key_count = key_count + ${more.keys}::bigint,
      key_bytes = key_bytes + ${more.bytes}::bigint
    where user_id = ${userId} and version = ${version}::bigint`.execute(tx.sql)
}

/** Deletes a version with all its keys. */
export async function deleteKeyBackup(tx: Tx, { userId, version }: BackupKey): Promise<void> {
  await tx.sql.deleteFrom('key_backup_sessions').where('user_id', '=', userId).where('version', '=', version).execute()
  await sql`update key_backups set deleted = true, auth_data = '{}', key_count = 0, key_bytes = 0
    where user_id = ${userId} and version = ${version}::bigint`.execute(tx.sql)
}

/** Deletes all versions of a user, with their keys. */
export async function deleteKeyBackups(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('key_backup_sessions').where('user_id', '=', userId).execute()
  await tx.sql.deleteFrom('key_backups').where('user_id', '=', userId).execute()
}

import { sql } from 'kysely'
import type { UserId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'
import type { KeyBackupRow } from './encryption-schema.ts'
import { lockUser } from './users.ts'

/** One version of a user's key backup. */
export type BackupKey = { userId: UserId; version: number }

/** Begins a new version and returns its number, which no earlier version had, deleted ones included. `authData` is JSON. */
export async function insertKeyBackup(
  tx: Tx,
  { userId, algorithm, authData }: { userId: UserId; algorithm: string; authData: string },
): Promise<number> {
  await lockUser(tx, userId)
  const { rows } = await sql<{ version: number }>`insert into key_backups (user_id, version, algorithm, auth_data)
    select ${userId}, coalesce(max(version), 0) + 1, ${algorithm}, ${authData} from key_backups where user_id = ${userId}
    returning version`.execute(tx.sql)
  return rows[0]!.version
}

/** A version, deleted ones too; undefined when it never was. */
export async function findKeyBackup(db: Db, { userId, version }: BackupKey): Promise<KeyBackupRow | undefined> {
  const { rows } = await sql<KeyBackupRow>`select * from key_backups
    where user_id = ${userId} and version = ${version}::bigint`.execute(db.sql)
  return rows[0]
}

/** The newest version that is not deleted. */
export async function findCurrentKeyBackup(db: Db, userId: UserId): Promise<KeyBackupRow | undefined> {
  const { rows } = await sql<KeyBackupRow>`select * from key_backups where user_id = ${userId} and not deleted
    order by version desc limit 1`.execute(db.sql)
  return rows[0]
}

/** Makes other changes of this version wait until the transaction ends; as `findKeyBackup` otherwise. */
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

/** Counts a change of a version's keys. */
export async function advanceBackupEtag(tx: Tx, { userId, version }: BackupKey): Promise<void> {
  await sql`update key_backups set etag = etag + 1
    where user_id = ${userId} and version = ${version}::bigint`.execute(tx.sql)
}

/** Deletes a version with all its keys. */
export async function deleteKeyBackup(tx: Tx, { userId, version }: BackupKey): Promise<void> {
  await sql`delete from key_backup_sessions
    where user_id = ${userId} and version = ${version}::bigint`.execute(tx.sql)
  await sql`update key_backups set deleted = true, auth_data = '{}'
    where user_id = ${userId} and version = ${version}::bigint`.execute(tx.sql)
}

/** Deletes all versions that a user ever had, with their keys. */
export async function deleteKeyBackups(tx: Tx, userId: UserId): Promise<void> {
  await sql`delete from key_backup_sessions where user_id = ${userId}`.execute(tx.sql)
  await sql`delete from key_backups where user_id = ${userId}`.execute(tx.sql)
}

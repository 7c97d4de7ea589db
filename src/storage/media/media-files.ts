import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { StoredObject, StoreName } from '../schema/media.ts'
import type { Verdict } from './content-rules.ts'
import type { StoredFile } from './media.ts'
import { claimObject } from './pending-objects.ts'

/** The state of a content: whether it is stored, whether the scanner found nothing in it, and its rule. */
export type KnownContent = { isStored: boolean; isScanned: boolean; verdict: Verdict | null }

/**
 * Returns what is known of a content. If it is stored, locks its row against `deleteUnusedFiles` until the transaction
 * ends, so that media can refer to it.
 */
export async function lockFile(tx: Tx, sha256: string): Promise<KnownContent> {
  const { rows } = await sql<{ is_scanned: boolean | null; verdict: Verdict | null }>`
    with file as (select is_scanned from media_files where sha256 = ${sha256} for key share)
    select (select is_scanned from file) as is_scanned,
      (select verdict from media_content_rules where sha256 = ${sha256}) as verdict`.execute(tx.sql)
  const { is_scanned, verdict } = rows[0]!
  return { isStored: is_scanned !== null, isScanned: is_scanned ?? false, verdict }
}

/** Whether a content is stored. */
export async function isFileStored(db: Db, sha256: string): Promise<boolean> {
  const { rows } = await sql`select 1 from media_files where sha256 = ${sha256}`.execute(db.sql)
  return rows.length > 0
}

/** Records that the scanner found nothing in a file. */
export async function markFileScanned(tx: Tx, sha256: string): Promise<void> {
  await sql`update media_files set is_scanned = true where sha256 = ${sha256} and not is_scanned`.execute(tx.sql)
}

/**
 * Registers an object as the content with this hash, and locks the row like `lockFile`. False if another object came
 * first; then the caller's object stays orphaned.
 */
export async function claimFile(tx: Tx, file: StoredFile & { store: StoreName; now: number }): Promise<boolean> {
  const { object_key: kept } = await tx.sql
    .insertInto('media_files')
    .values({
      sha256: file.sha256,
      size: file.size,
      object_key: file.objectKey,
      store: file.store,
      detected_type: file.detectedType,
      created_ts: file.now,
      is_scanned: file.isScanned,
    })
    // An update without change, because it locks and returns the existing row.
    .onConflict((conflict) => conflict.column('sha256').doUpdateSet((row) => ({ sha256: row.ref('excluded.sha256') })))
    .returning('object_key')
    .executeTakeFirstOrThrow()
  if (kept !== file.objectKey) return false
  await claimObject(tx, file)
  return true
}

/** Deletes up to `limit` files that no media refers to, as `deleteFilesIfUnused`; returns how many it found. */
export async function deleteUnusedFiles(tx: Tx, limit: number): Promise<number> {
  const candidates = await tx.sql
    .selectFrom('media_files')
    .select('sha256')
    .where((file) =>
      file.not(
        file.exists(file.selectFrom('media').select('media_id').whereRef('media.sha256', '=', 'media_files.sha256')),
      ),
    )
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute()
  await deleteFilesIfUnused(
    tx,
    candidates.map(({ sha256 }) => sha256),
  )
  return candidates.length
}

/**
 * Deletes those of some files that no media refers to, with their thumbnails. Returns their objects, which become
 * orphaned immediately.
 */
export async function deleteFilesIfUnused(tx: Tx, hashes: readonly string[]): Promise<StoredObject[]> {
  if (hashes.length === 0) return []
  await sql`select 1 from media_files where sha256 = any(${hashes}::text[]) order by sha256 for update`.execute(tx.sql)
  // With the rows locked: media may have been added before the lock.
  const { rows } = await sql<StoredObject>`
    with unused as (
      select sha256, object_key, store from media_files
      where sha256 = any(${hashes}::text[]) and not exists (select from media where media.sha256 = media_files.sha256)
    ), thumbnails as (
      select t.object_key, t.store from media_thumbnails t join unused using (sha256) where t.object_key is not null
    ), files as (
      delete from media_files where sha256 in (select sha256 from unused)
    )
    insert into pending_objects (object_key, store, since_ts)
      select object_key, store, 0 from unused union all select object_key, store, 0 from thumbnails
    returning object_key as "objectKey", store`.execute(tx.sql)
  return rows
}

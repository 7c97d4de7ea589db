import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import type { StoreName } from '../schema/media.ts'
import type { StoredFile } from './media.ts'
import { claimObject } from './pending-objects.ts'

/**
 * Whether the content is stored. Locks its row against `deleteUnusedFiles` until the transaction ends, so that media
 * can refer to it.
 */
export async function lockFile(tx: Tx, sha256: string): Promise<boolean> {
  const row = await tx.sql
    .selectFrom('media_files')
    .select('sha256')
    .where('sha256', '=', sha256)
    .forKeyShare()
    .executeTakeFirst()
  return row !== undefined
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
    })
    // An update without change, because it locks and returns the existing row.
    .onConflict((conflict) => conflict.column('sha256').doUpdateSet((row) => ({ sha256: row.ref('excluded.sha256') })))
    .returning('object_key')
    .executeTakeFirstOrThrow()
  if (kept !== file.objectKey) return false
  await claimObject(tx, file)
  return true
}

/**
 * Deletes up to `limit` files that no media refers to, with their thumbnails; their objects become orphaned
 * immediately.
 */
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
  const hashes = candidates.map(({ sha256 }) => sha256)
  if (hashes.length === 0) return 0
  // Checks again with the rows locked: media may have been added before the lock.
  const { rows } = await sql<{ object_key: string }>`
    with unused as (
      select sha256, object_key, store from media_files
      where sha256 = any(${hashes}::text[]) and not exists (select from media where media.sha256 = media_files.sha256)
    ), thumbnails as (
      select t.object_key, t.store from media_thumbnails t join unused using (sha256) where t.object_key is not null
    ), objects as (
      insert into pending_objects (object_key, store, since_ts)
        select object_key, store, 0 from unused union all select object_key, store, 0 from thumbnails
    )
    delete from media_files where sha256 in (select sha256 from unused) returning object_key`.execute(tx.sql)
  return rows.length
}

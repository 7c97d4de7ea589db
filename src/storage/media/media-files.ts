import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import type { StoredFile } from './media.ts'
import { claimObject } from './unclaimed-objects.ts'

/**
 * Whether the content is stored already. Locks its row against `deleteUnusedFiles` until the transaction ends, so that media can refer to it.
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
 * Makes an object known as the content with this hash, and locks the row like `lockFile`. False when another object has come first; then the
 * caller's remains unclaimed.
 */
export async function claimFile(tx: Tx, file: StoredFile & { now: number }): Promise<boolean> {
  const { object_key: kept } = await tx.sql
    .insertInto('media_files')
    .values({
      sha256: file.sha256,
      size: file.size,
      object_key: file.objectKey,
      detected_type: file.detectedType,
      created_ts: file.now,
    })
    // An update that changes nothing, for it locks and returns the row that is there.
    .onConflict((conflict) => conflict.column('sha256').doUpdateSet((row) => ({ sha256: row.ref('excluded.sha256') })))
    .returning('object_key')
    .executeTakeFirstOrThrow()
  if (kept !== file.objectKey) return false
  await claimObject(tx, file.objectKey)
  return true
}

/** Deletes up to `limit` files that no medium has any more, with their thumbnails; their objects become unclaimed at once. */
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
  // Asks again with the rows locked: a medium may have come between the look and the lock.
  const { rows } = await sql<{ object_key: string }>`
    with unused as (
      select sha256, object_key from media_files
      where sha256 = any(${hashes}::text[]) and not exists (select from media where media.sha256 = media_files.sha256)
    ), thumbnails as (
      select t.object_key from media_thumbnails t join unused using (sha256) where t.object_key is not null
    ), objects as (
      insert into unclaimed_objects (object_key, since_ts) select object_key, 0 from unused union all select object_key, 0 from thumbnails
    )
    delete from media_files where sha256 in (select sha256 from unused) returning object_key`.execute(tx.sql)
  return rows.length
}

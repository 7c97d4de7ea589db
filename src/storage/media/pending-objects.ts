import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'

/** Registers an object before it is written; without `claimObject` it will be deleted. */
export async function announceObject(tx: Tx, objectKey: string, now: number): Promise<void> {
  await tx.sql
    .insertInto('pending_objects')
    .values({ object_key: objectKey, since_ts: now, is_deleting: false })
    .execute()
}

/** Claims a registered object: a row of the same transaction refers to it. Throws if it was deleted in the meantime. */
export async function claimObject(tx: Tx, objectKey: string): Promise<void> {
  const { numDeletedRows } = await tx.sql
    .deleteFrom('pending_objects')
    .where('object_key', '=', objectKey)
    .where('is_deleting', '=', false)
    .executeTakeFirst()
  if (numDeletedRows !== 1n) throw new Error(`object ${objectKey} was swept before it was claimed`)
}

/**
 * Marks up to `limit` objects for deletion that have been orphaned since before `cutoff`; they can no longer be
 * claimed.
 */
export async function markOrphanedObjects(
  tx: Tx,
  { cutoff, limit }: { cutoff: number; limit: number },
): Promise<string[]> {
  const { rows } = await sql<{ object_key: string }>`
    update pending_objects set is_deleting = true
    where object_key in (
      select object_key from pending_objects where since_ts < ${cutoff} order by since_ts limit ${limit} for update skip locked
    )
    returning object_key`.execute(tx.sql)
  return rows.map((row) => row.object_key)
}

/** Deletes the rows of objects that were deleted from the store. */
export async function forgetObjects(tx: Tx, objectKeys: readonly string[]): Promise<void> {
  await sql`delete from pending_objects where object_key = any(${objectKeys}::text[])`.execute(tx.sql)
}

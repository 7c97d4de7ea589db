import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import type { StoredObject, StoreName } from '../schema/media.ts'

/**
 * Registers an object before it is written; without `claimObject` it will be deleted. False if an earlier object of
 * this name is being deleted at the moment.
 */
export async function announceObject(tx: Tx, { objectKey, store }: StoredObject, now: number): Promise<boolean> {
  const { numAffectedRows } = await sql`insert into pending_objects (object_key, store, since_ts)
    values (${objectKey}, ${store}, ${now}::bigint)
    on conflict (object_key, store) do update set since_ts = excluded.since_ts
    where not pending_objects.is_deleting`.execute(tx.sql)
  return numAffectedRows === 1n
}

/** Claims a registered object: a row of the same transaction refers to it. Throws if it was deleted in the meantime. */
export async function claimObject(tx: Tx, { objectKey, store }: StoredObject): Promise<void> {
  const { numDeletedRows } = await tx.sql
    .deleteFrom('pending_objects')
    .where('object_key', '=', objectKey)
    .where('store', '=', store)
    .where('is_deleting', '=', false)
    .executeTakeFirst()
  if (numDeletedRows !== 1n) throw new Error(`object ${objectKey} was swept before it was claimed`)
}

/** Registers an object to which no row refers any more: the next sweep deletes it. */
export async function orphanObject(tx: Tx, { objectKey, store }: StoredObject): Promise<void> {
  await sql`insert into pending_objects (object_key, store, since_ts) values (${objectKey}, ${store}, 0)
    on conflict (object_key, store) do update set since_ts = 0`.execute(tx.sql)
}

/**
 * Marks those of some objects for deletion that are orphaned, and returns their keys; they can no longer be claimed.
 * Claimed and unregistered ones are omitted.
 */
export async function markIfOrphaned(tx: Tx, store: StoreName, keys: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ object_key: string }>`update pending_objects set is_deleting = true
    where object_key = any(${keys}::text[]) and store = ${store} returning object_key`.execute(tx.sql)
  return rows.map(({ object_key }) => object_key)
}

/**
 * Marks up to `limit` objects of a store for deletion that have been orphaned since before `cutoff`; they can no longer
 * be claimed.
 */
export async function markOrphanedObjects(
  tx: Tx,
  { store, cutoff, limit }: { store: StoreName; cutoff: number; limit: number },
): Promise<string[]> {
  const { rows } = await sql<{ object_key: string }>`
    update pending_objects set is_deleting = true
    where store = ${store} and object_key in (
      select object_key from pending_objects where store = ${store} and since_ts < ${cutoff}
      order by since_ts limit ${limit} for update skip locked
    )
    returning object_key`.execute(tx.sql)
  return rows.map((row) => row.object_key)
}

/** Deletes the rows of objects that were deleted from the store. */
export async function forgetObjects(tx: Tx, store: StoreName, objectKeys: readonly string[]): Promise<void> {
  await sql`delete from pending_objects
    where store = ${store} and object_key = any(${objectKeys}::text[])`.execute(tx.sql)
}

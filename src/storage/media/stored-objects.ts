import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { StoreName } from '../schema/media.ts'
import { announceObject, claimObject, orphanObject } from './pending-objects.ts'

/** Returns whether a store has files or thumbnails, orphaned ones included. */
export async function hasObjectsIn(db: Db, store: StoreName): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`select
    exists (select from media_files where store = ${store})
    or exists (select from media_thumbnails where store = ${store})
    or exists (select from pending_objects where store = ${store}) as found`.execute(db.sql)
  return rows[0]!.found
}

/** Returns how many files and thumbnails a store has, and their size. */
export async function countObjectsIn(db: Db, store: StoreName): Promise<{ count: number; bytes: number }> {
  const { rows } = await sql<{ count: number; bytes: number }>`
    select count(*)::int as count, coalesce(sum(size), 0)::bigint as bytes from (
      select size from media_files where store = ${store}
      union all select size from media_thumbnails where store = ${store}
    ) objects`.execute(db.sql)
  return rows[0]!
}

/** A file or thumbnail as a store has it; `sha256` null: only the hash of files is known. */
export type ObjectInStore = { objectKey: string; size: number; sha256: string | null }
type Page = { store: StoreName; after: string; limit: number }

/** Lists up to `limit` files in a store, in the order of their keys, after a key. */
export async function listFilesIn(db: Db, { store, after, limit }: Page): Promise<ObjectInStore[]> {
  const { rows } = await sql<ObjectInStore>`select object_key as "objectKey", size, sha256 from media_files
    where store = ${store} and object_key > ${after} order by object_key limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Lists thumbnails as `listFilesIn` lists files. */
export async function listThumbnailsIn(db: Db, { store, after, limit }: Page): Promise<ObjectInStore[]> {
  const { rows } = await sql<ObjectInStore>`
    select object_key as "objectKey", size, null::text as sha256 from media_thumbnails
    where store = ${store} and object_key > ${after} order by object_key limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Returns the store of the file or thumbnail with this object; undefined if there is none. */
export async function findStoreOf(db: Db, objectKey: string): Promise<StoreName | undefined> {
  const { rows } = await sql<{ store: StoreName }>`
    select store from media_files where store in ('disk', 's3') and object_key = ${objectKey}
    union all select store from media_thumbnails where store in ('disk', 's3') and object_key = ${objectKey}`.execute(
    db.sql,
  )
  return rows[0]?.store
}

/** The move of an object to another store, under the same key. */
export type ObjectMove = { objectKey: string; from: StoreName; to: StoreName }

/**
 * Registers the copy of an object before it is written. `gone`: the object is no longer there. `busy`: an earlier copy is
 * being deleted.
 */
export async function announceMove(
  tx: Tx,
  { objectKey, from, to }: ObjectMove,
  now: number,
): Promise<'announced' | 'gone' | 'busy'> {
  // With its row locked, so that no other move ends in between: what it has moved must not be registered as a copy.
  const { rows: files } = await sql`
    select from media_files where store = ${from} and object_key = ${objectKey} for share`.execute(tx.sql)
  const { rows: thumbnails } = await sql`
    select from media_thumbnails where store = ${from} and object_key = ${objectKey} for share`.execute(tx.sql)
  if (files.length + thumbnails.length === 0) return 'gone'
  return (await announceObject(tx, { objectKey, store: to }, now)) ? 'announced' : 'busy'
}

/**
 * Makes the row of an object refer to its copy in another store. The copy is claimed, and the original is orphaned. False
 * if the file has been deleted, or another process has moved it.
 */
export async function recordMove(tx: Tx, { objectKey, from, to }: ObjectMove): Promise<boolean> {
  const { rows } = await sql`
    with files as (
      update media_files set store = ${to} where store = ${from} and object_key = ${objectKey} returning object_key
    ), thumbnails as (
      update media_thumbnails set store = ${to} where store = ${from} and object_key = ${objectKey}
      returning object_key
    )
    select from files union all select from thumbnails`.execute(tx.sql)
  if (rows.length === 0) return false
  await claimObject(tx, { objectKey, store: to })
  await orphanObject(tx, { objectKey, store: from })
  return true
}

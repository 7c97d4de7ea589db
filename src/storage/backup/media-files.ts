import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { StoreName } from '../schema/media.ts'

/** A file of the media store. */
export type KeptFile = { sha256: string; size: number; object_key: string; store: StoreName }

/** Returns all files, without thumbnails: these are made again. */
export async function listFiles(db: Db): Promise<KeptFile[]> {
  const { rows } = await sql<KeptFile>`select sha256, size, object_key, store from media_files order by sha256`.execute(
    db.sql,
  )
  return rows
}

/**
 * Adapts the rows of media to a store that has only the files of a backup: without `missing` files, thumbnails, and
 * knowledge of objects of the old store.
 */
export async function moveFilesTo(tx: Tx, store: StoreName, missing: readonly string[]): Promise<void> {
  await sql`delete from media where sha256 = any(${missing}::text[])`.execute(tx.sql)
  await sql`truncate media_thumbnails, pending_objects`.execute(tx.sql)
  await sql`delete from media_files where sha256 = any(${missing}::text[])`.execute(tx.sql)
  await sql`update media_files set store = ${store} where store <> ${store}`.execute(tx.sql)
  await sql`delete from server_secrets where name in ('media_store_mark_disk', 'media_store_mark_s3')`.execute(tx.sql)
}

import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { StoreName } from '../schema/media.ts'
import { fetchRows } from './snapshot.ts'

/** A file of the media store. */
export type KeptFile = { sha256: string; size: number; object_key: string; store: StoreName }

/** Returns all files as JSON of KeptFile, some at a time, without thumbnails; `db` is in a transaction. */
export async function* listFiles(db: Db): AsyncGenerator<string[]> {
  await sql`declare snapshot_rows no scroll cursor for select to_json(file)::text as row from
    (select sha256, size, object_key, store from media_files order by sha256) as file`.execute(db.sql)
  yield* fetchRows(db)
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

import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Serialises what the uploads and reservations of a user count, until the transaction ends. */
export async function lockUploader(tx: Tx, uploader: UserId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`media ${uploader}`}, 0))`.execute(tx.sql)
}

/** Returns how many bytes a user has uploaded since each of some times. Deleted files do not count. */
export async function loadUploadedBytes(db: Db, uploader: UserId, since: readonly number[]): Promise<number[]> {
  const { rows } = await sql<{ bytes: number }>`select (
      select coalesce(sum(file_size), 0)::bigint from media
      where uploader = ${uploader} and created_ts > start) as bytes
    from unnest(${since}::bigint[]) with ordinality as starts(start, place) order by place`.execute(db.sql)
  return rows.map(({ bytes }) => bytes)
}

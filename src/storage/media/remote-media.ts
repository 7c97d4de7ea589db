import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import type { MediaContent, MediaName } from './media.ts'

/**
 * Registers remote media. The file's row must be locked (`claimFile`, `lockFile`). Does not overwrite the row of
 * another process.
 */
export async function insertRemoteMedia(tx: Tx, media: MediaName & MediaContent & { now: number }): Promise<void> {
  await sql`insert into media (server_name, media_id, uploader, sha256, content_type, filename, created_ts, expires_ts, accessed_ts)
    values (${media.serverName}, ${media.mediaId}, null, ${media.sha256}, ${media.contentType}, ${media.filename},
      ${media.now}::bigint, null, ${media.now}::bigint)
    on conflict (server_name, media_id) do update set accessed_ts = excluded.accessed_ts`.execute(tx.sql)
}

/** Records an access to remote media, unless one was recorded since `noteAfter`. */
export async function noteMediaAccess(
  tx: Tx,
  name: MediaName,
  times: { now: number; noteAfter: number },
): Promise<void> {
  await sql`update media set accessed_ts = ${times.now}::bigint where server_name = ${name.serverName}
    and media_id = ${name.mediaId} and accessed_ts < ${times.noteAfter}::bigint`.execute(tx.sql)
}

/** Deletes up to `limit` remote media without an access since `before`; returns their number. */
export async function deleteUnusedRemoteMedia(tx: Tx, before: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from media where (server_name, media_id) in (
    select server_name, media_id from media where accessed_ts < ${before}::bigint limit ${limit}::int)`.execute(tx.sql)
  return Number(numAffectedRows)
}

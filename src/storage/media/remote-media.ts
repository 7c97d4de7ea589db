import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import type { MediaContent, MediaName } from './media.ts'

/** Makes a file of another server known. Its row must be locked (`claimFile`, `lockFile`). What another process has stored meanwhile stays. */
export async function insertRemoteMedia(tx: Tx, media: MediaName & MediaContent & { now: number }): Promise<void> {
  await sql`insert into media (server_name, media_id, uploader, sha256, content_type, filename, created_ts, expires_ts, accessed_ts)
    values (${media.serverName}, ${media.mediaId}, null, ${media.sha256}, ${media.contentType}, ${media.filename},
      ${media.now}::bigint, null, ${media.now}::bigint)
    on conflict (server_name, media_id) do update set accessed_ts = excluded.accessed_ts`.execute(tx.sql)
}

/** Notes that somebody looks at a file of another server, unless that was noted since `noteAfter`. */
export async function noteMediaAccess(
  tx: Tx,
  name: MediaName,
  times: { now: number; noteAfter: number },
): Promise<void> {
  await sql`update media set accessed_ts = ${times.now}::bigint where server_name = ${name.serverName}
    and media_id = ${name.mediaId} and accessed_ts < ${times.noteAfter}::bigint`.execute(tx.sql)
}

/** Forgets up to `limit` media of other servers that nobody has looked at since `before`; returns how many these were. */
export async function deleteUnusedRemoteMedia(tx: Tx, before: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from media where (server_name, media_id) in (
    select server_name, media_id from media where accessed_ts < ${before}::bigint limit ${limit}::int)`.execute(tx.sql)
  return Number(numAffectedRows)
}

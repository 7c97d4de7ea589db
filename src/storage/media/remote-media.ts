import { sql } from 'kysely'
import type { MediaName } from '../../core/content-uri.ts'
import type { Tx } from '../engine/database.ts'
import { HAS_RULE, type MediaContent, QUARANTINED_BY } from './media.ts'
import { appendQuarantineChanges } from './quarantine-changes.ts'

/**
 * Registers media without an uploader. The file's row must be locked (`claimFile`, `lockFile`). Does not replace the file
 * of another process.
 */
export async function insertRemoteMedia(tx: Tx, media: MediaName & MediaContent & { now: number }): Promise<void> {
  const { rows } = await sql<{ is_quarantined: boolean }>`
    insert into media (server_name, media_id, sha256, content_type, filename, created_ts, accessed_ts)
    values (${media.serverName}, ${media.mediaId}, ${media.sha256}, ${media.contentType}, ${media.filename},
      ${media.now}::bigint, ${media.now}::bigint)
    on conflict (server_name, media_id) do update set sha256 = coalesce(media.sha256, excluded.sha256),
      content_type = excluded.content_type, filename = excluded.filename, accessed_ts = excluded.accessed_ts,
      refused_sha256 = null
    returning ${HAS_RULE} as is_quarantined`.execute(tx.sql)
  if (rows[0]!.is_quarantined) appendQuarantineChanges(tx, [media], true)
}

/** Remembers that the content of remote media is denied, so that it is not fetched again. */
export async function insertRefusedMedia(
  tx: Tx,
  { serverName, mediaId }: MediaName,
  refused: { sha256: string; now: number },
): Promise<void> {
  await sql`insert into media (server_name, media_id, content_type, created_ts, accessed_ts, refused_sha256)
    values (${serverName}, ${mediaId}, '', ${refused.now}::bigint, ${refused.now}::bigint, ${refused.sha256})
    on conflict (server_name, media_id) do update set refused_sha256 = excluded.refused_sha256`.execute(tx.sql)
}

/**
 * Deletes up to `limit` media without an uploader that had no access since `before`, and returns the hashes of their
 * files. Quarantined ones stay.
 */
export async function deleteUnusedRemoteMedia(
  tx: Tx,
  before: number,
  limit: number,
): Promise<{ count: number; hashes: string[] }> {
  const { rows } = await sql<{ sha256: string | null }>`delete from media where (server_name, media_id) in (
    select server_name, media_id from media m where uploader is null and accessed_ts < ${before}::bigint
      and quarantined_by is null and (sha256 is null or ${QUARANTINED_BY} is null) limit ${limit}::int) returning sha256`.execute(
    tx.sql,
  )
  return { count: rows.length, hashes: rows.flatMap(({ sha256 }) => sha256 ?? []) }
}

import { sql } from 'kysely'
import type { MediaName } from '../../core/content-uri.ts'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendQuarantineChanges } from './quarantine-changes.ts'
import { lockUploader } from './uploaded-bytes.ts'

/** The metadata of media content. */
export type MediaContent = { contentType: string; filename: string | null; sha256: string }

/** Media and the file behind it; `file` is null while there is none. */
export type StoredMedia = {
  uploader: UserId | null
  contentType: string
  filename: string | null
  expiresTs: number | null
  /** The last request, to within a day; null for a pending upload. */
  accessedTs: number | null
  /** The administrator who blocks it, or the scanner; null if it is served. */
  quarantinedBy: string | null
  file: StoredFile | null
}

export type StoredFile = {
  sha256: string
  size: number
  objectKey: string
  detectedType: string | null
  isScanned: boolean
}

type FoundMedia = {
  uploader: UserId | null
  content_type: string
  filename: string | null
  expires_ts: number | null
  accessed_ts: number | null
  sha256: string | null
  size: number | null
  object_key: string | null
  detected_type: string | null
  is_scanned: boolean | null
  quarantined_by: string | null
}

/** The administrator or scanner that blocks media `m`: by itself, its server, or its content. */
export const QUARANTINED_BY = sql<string | null>`coalesce(m.quarantined_by,
  (select s.set_by from media_quarantined_servers s where s.server_name = m.server_name),
  (select r.set_by from media_content_rules r where r.sha256 = coalesce(m.sha256, m.refused_sha256)
    and (r.verdict = 'deny' or not m.is_protected)))`

/** Returns the media of an `mxc://` URI, or undefined. */
export async function findStoredMedia(db: Db, { serverName, mediaId }: MediaName): Promise<StoredMedia | undefined> {
  const { rows } = await sql<FoundMedia>`select uploader, content_type, filename, expires_ts, accessed_ts,
      f.sha256, size, object_key, detected_type, is_scanned, ${QUARANTINED_BY} as quarantined_by
    from media m left join media_files f on f.sha256 = m.sha256
    where server_name = ${serverName} and media_id = ${mediaId}`.execute(db.sql)
  const [row] = rows
  if (!row) return undefined
  return {
    uploader: row.uploader,
    contentType: row.content_type,
    filename: row.filename,
    expiresTs: row.expires_ts,
    accessedTs: row.accessed_ts,
    quarantinedBy: row.quarantined_by,
    file: fileOf(row),
  }
}

function fileOf(row: FoundMedia): StoredFile | null {
  if (row.sha256 === null) return null
  return {
    sha256: row.sha256,
    size: row.size!,
    objectKey: row.object_key!,
    detectedType: row.detected_type,
    isScanned: row.is_scanned!,
  }
}

/** Records an access to media, unless one was recorded since `noteAfter`. */
export async function noteMediaAccess(
  tx: Tx,
  name: MediaName,
  times: { now: number; noteAfter: number },
): Promise<void> {
  await sql`update media set accessed_ts = ${times.now}::bigint where server_name = ${name.serverName}
    and media_id = ${name.mediaId} and accessed_ts < ${times.noteAfter}::bigint`.execute(tx.sql)
}

/** Registers a file under a new name. The file's row must be locked (`claimFile`, `lockFile`). */
export async function insertMedia(
  tx: Tx,
  media: MediaName & MediaContent & { uploader: UserId; createdTs: number },
): Promise<void> {
  const { createdTs } = media
  const { rows } = await sql<{ is_quarantined: boolean }>`
    insert into media
      (server_name, media_id, uploader, sha256, file_size, content_type, filename, created_ts, accessed_ts)
    values (${media.serverName}, ${media.mediaId}, ${media.uploader}, ${media.sha256}, ${sizeOf(media.sha256)},
      ${media.contentType}, ${media.filename}, ${createdTs}::bigint, ${createdTs}::bigint)
    returning ${HAS_RULE} as is_quarantined`.execute(tx.sql)
  if (rows[0]!.is_quarantined) appendQuarantineChanges(tx, [media], true)
}

/** Whether the content of a row that was just written has a rule: then the media are quarantined from the beginning. */
export const HAS_RULE = sql<boolean>`exists (select from media_content_rules r where r.sha256 = media.sha256)`

/** The size of a stored content. */
function sizeOf(sha256: string) {
  return sql<number>`(select f.size from media_files f where f.sha256 = ${sha256})`
}

/**
 * Reserves a name for a later upload. False if the user has `limit` reservations that have not expired: these are
 * counted under a lock of the user, so that parallel requests do not exceed it together.
 */
export async function reserveMediaName(
  tx: Tx,
  reservation: MediaName & { uploader: UserId; createdTs: number; expiresTs: number; limit: number },
): Promise<boolean> {
  const { uploader, createdTs } = reservation
  await lockUploader(tx, uploader)
  const { pending } = await tx.sql
    .selectFrom('media')
    .select(({ fn }) => fn.countAll<number>().as('pending'))
    .where('uploader', '=', uploader)
    .where('sha256', 'is', null)
    .where('expires_ts', '>', createdTs)
    .executeTakeFirstOrThrow()
  if (pending >= reservation.limit) return false
  await tx.sql
    .insertInto('media')
    .values({
      server_name: reservation.serverName,
      media_id: reservation.mediaId,
      uploader,
      sha256: null,
      content_type: '',
      filename: null,
      created_ts: createdTs,
      expires_ts: reservation.expiresTs,
      accessed_ts: null,
    })
    .execute()
  return true
}

/** Sets the content of a reserved name. False if the reservation is missing, expired at `now`, or filled. */
export async function fillReservedMedia(tx: Tx, media: MediaName & MediaContent & { now: number }): Promise<boolean> {
  const { rows } = await sql<{
    is_quarantined: boolean
  }>`update media set sha256 = ${media.sha256}, file_size = ${sizeOf(media.sha256)},
      content_type = ${media.contentType}, filename = ${media.filename}::text, expires_ts = null,
      created_ts = ${media.now}::bigint, accessed_ts = ${media.now}::bigint
    where server_name = ${media.serverName} and media_id = ${media.mediaId} and sha256 is null
      and expires_ts > ${media.now}::bigint
    returning ${HAS_RULE} as is_quarantined`.execute(tx.sql)
  if (rows[0]?.is_quarantined) appendQuarantineChanges(tx, [media], true)
  return rows.length === 1
}

/** Deletes reservations that expired before `now`. */
export async function deleteExpiredReservations(tx: Tx, now: number): Promise<void> {
  await tx.sql.deleteFrom('media').where('sha256', 'is', null).where('expires_ts', '<=', now).execute()
}

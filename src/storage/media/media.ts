import { sql } from 'kysely'
import type { ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** The two parts of an `mxc://` URI. */
export type MediaName = { serverName: ServerName; mediaId: string }

/** The metadata of media content. */
export type MediaContent = { contentType: string; filename: string | null; sha256: string }

/** Media and the file behind it; `file` is null while the name is only reserved. */
export type StoredMedia = {
  /** When remote media was last requested; null for local media. */
  accessedTs: number | null
  uploader: UserId | null
  contentType: string
  filename: string | null
  expiresTs: number | null
  file: StoredFile | null
}

export type StoredFile = { sha256: string; size: number; objectKey: string; detectedType: string | null }

/** Returns the media of an `mxc://` URI, or undefined. */
export async function findStoredMedia(db: Db, { serverName, mediaId }: MediaName): Promise<StoredMedia | undefined> {
  const row = await db.sql
    .selectFrom('media')
    .leftJoin('media_files', 'media_files.sha256', 'media.sha256')
    .select(['uploader', 'content_type', 'filename', 'expires_ts', 'accessed_ts'])
    .select(['media_files.sha256', 'media_files.size', 'media_files.object_key', 'media_files.detected_type'])
    .where('server_name', '=', serverName)
    .where('media_id', '=', mediaId)
    .executeTakeFirst()
  if (!row) return undefined
  const file =
    row.sha256 === null
      ? null
      : { sha256: row.sha256, size: row.size!, objectKey: row.object_key!, detectedType: row.detected_type }
  return {
    uploader: row.uploader,
    contentType: row.content_type,
    filename: row.filename,
    expiresTs: row.expires_ts,
    accessedTs: row.accessed_ts,
    file,
  }
}

/** Registers a file under a new name. The file's row must be locked (`claimFile`, `lockFile`). */
export async function insertMedia(
  tx: Tx,
  media: MediaName & MediaContent & { uploader: UserId; createdTs: number },
): Promise<void> {
  await tx.sql
    .insertInto('media')
    .values({
      server_name: media.serverName,
      media_id: media.mediaId,
      uploader: media.uploader,
      sha256: media.sha256,
      content_type: media.contentType,
      filename: media.filename,
      created_ts: media.createdTs,
      expires_ts: null,
      accessed_ts: null,
    })
    .execute()
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
  await sql`select pg_advisory_xact_lock(hashtextextended(${`media ${uploader}`}, 0))`.execute(tx.sql)
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
  const { numUpdatedRows } = await tx.sql
    .updateTable('media')
    .set({ sha256: media.sha256, content_type: media.contentType, filename: media.filename, expires_ts: null })
    .where('server_name', '=', media.serverName)
    .where('media_id', '=', media.mediaId)
    .where('sha256', 'is', null)
    .where('expires_ts', '>', media.now)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Deletes reservations that expired before `now`. */
export async function deleteExpiredReservations(tx: Tx, now: number): Promise<void> {
  await tx.sql.deleteFrom('media').where('sha256', 'is', null).where('expires_ts', '<=', now).execute()
}

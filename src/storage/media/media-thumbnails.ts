import type { Db, Tx } from '../engine/database.ts'
import type { ThumbnailRow } from '../schema/media.ts'
import { lockFile } from './media-files.ts'
import { claimObject } from './unclaimed-objects.ts'

/** What tells the thumbnails of one file apart. */
export type ThumbnailKey = Pick<ThumbnailRow, 'sha256' | 'width' | 'height' | 'method' | 'animated'>

/** The thumbnail that was made of a file before, or undefined. */
export function findStoredThumbnail(db: Db, key: ThumbnailKey): Promise<ThumbnailRow | undefined> {
  return db.sql
    .selectFrom('media_thumbnails')
    .selectAll()
    .where('sha256', '=', key.sha256)
    .where('width', '=', key.width)
    .where('height', '=', key.height)
    .where('method', '=', key.method)
    .where('animated', '=', key.animated)
    .executeTakeFirst()
}

/** Makes a thumbnail known and claims its object. False when there is one already or its file is gone; then the object remains unclaimed. */
export async function insertThumbnail(tx: Tx, thumbnail: ThumbnailRow): Promise<boolean> {
  if (!(await lockFile(tx, thumbnail.sha256))) return false
  const { numInsertedOrUpdatedRows } = await tx.sql
    .insertInto('media_thumbnails')
    .values(thumbnail)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  if (numInsertedOrUpdatedRows !== 1n) return false
  if (thumbnail.object_key !== null) await claimObject(tx, thumbnail.object_key)
  return true
}

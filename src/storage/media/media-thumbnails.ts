import type { Db, Tx } from '../engine/database.ts'
import type { ThumbnailRow } from '../schema/media.ts'
import { lockFile } from './media-files.ts'
import { claimObject } from './pending-objects.ts'

/** The key of a thumbnail. */
export type ThumbnailKey = Pick<ThumbnailRow, 'sha256' | 'width' | 'height' | 'method' | 'animated'>

/** Returns a stored thumbnail, or undefined. */
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

/**
 * Registers a thumbnail and claims its object. False if it exists or its file is deleted; then the object stays
 * orphaned.
 */
export async function insertThumbnail(tx: Tx, thumbnail: ThumbnailRow): Promise<boolean> {
  if (!(await lockFile(tx, thumbnail.sha256)).isStored) return false
  const { numInsertedOrUpdatedRows } = await tx.sql
    .insertInto('media_thumbnails')
    .values(thumbnail)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  if (numInsertedOrUpdatedRows !== 1n) return false
  const { object_key: objectKey, store } = thumbnail
  if (objectKey !== null && store !== null) await claimObject(tx, { objectKey, store })
  return true
}

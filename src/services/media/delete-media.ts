import type { App } from '../../app.ts'
import type { MediaName } from '../../core/content-uri.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteMediaById, findOldMedia } from '../../storage/media/local-media.ts'
import { deleteFilesIfUnused } from '../../storage/media/media-files.ts'
import { deleteUnusedRemoteMedia } from '../../storage/media/remote-media.ts'
import { isStoreUsable } from './check-media-store.ts'
import { dropObjects } from './objects.ts'

const BATCH = 100

/** Old files of users of this server, to delete. `keepAvatars`: avatars of users and rooms stay. */
export type OldUploads = { before: number; sizeAbove: number; keepAvatars: boolean }

/**
 * Deletes media of this server with their files and thumbnails. Returns the IDs of those that existed. `alongWith`
 * writes in the transactions that delete them, and gets the number of the deleted.
 */
export async function deleteLocalMedia(
  app: App,
  mediaIds: readonly string[],
  alongWith: (tx: Tx, count: number) => Promise<void> = async () => {},
): Promise<string[]> {
  const deleted: string[] = []
  for (let start = 0; start < mediaIds.length; start += BATCH) {
    const rows = await app.database.write(async (tx) => {
      const gone = await deleteMediaById(tx, app.serverName, mediaIds.slice(start, start + BATCH))
      await alongWith(tx, gone.length)
      return gone
    })
    deleted.push(...rows.map(({ media_id }) => media_id))
    await deleteFiles(
      app,
      rows.flatMap(({ sha256 }) => sha256 ?? []),
    )
  }
  return deleted
}

/** As `deleteLocalMedia`, for one media ID. Throws M_NOT_FOUND. */
export async function deleteLocalMediaById(app: App, { mediaId }: Pick<MediaName, 'mediaId'>): Promise<string[]> {
  const deleted = await deleteLocalMedia(app, [mediaId])
  if (deleted.length === 0) throw new NotFoundError('Unknown media')
  return deleted
}

/**
 * Deletes files that users of this server uploaded and that were not requested since a time, without quarantined and
 * protected ones. Returns their IDs. Stops early when the server stops; a repeated call continues.
 */
export async function deleteOldUploads(app: App, { before, sizeAbove, keepAvatars }: OldUploads): Promise<string[]> {
  const deleted: string[] = []
  for (let after = { accessedTs: 0, mediaId: '' }; !app.stopping.aborted; ) {
    const search = { serverName: app.serverName, before, sizeAbove, keepAvatars, after, limit: BATCH }
    const found = await findOldMedia(app.database, search)
    const last = found.at(-1)
    if (!last) break
    const ids = found.map(({ media_id }) => media_id)
    for (const id of await deleteLocalMedia(app, ids)) deleted.push(id)
    after = { accessedTs: last.accessed_ts, mediaId: last.media_id }
  }
  return deleted
}

/**
 * Deletes copies of media of other servers, and images of previews, that were not requested since a time, without
 * quarantined ones. Returns their number. Stops early when the server stops; a repeated call continues.
 */
export async function deleteOldCopies(app: App, before: number): Promise<number> {
  for (let total = 0; ; ) {
    const { count, hashes } = await app.database.write((tx) => deleteUnusedRemoteMedia(tx, before, BATCH))
    await deleteFiles(app, hashes)
    total += count
    if (count < BATCH || app.stopping.aborted) return total
  }
}

/** Deletes those of some files that no media uses any more, from the store too. The sweep repeats what fails. */
async function deleteFiles(app: App, hashes: readonly string[]): Promise<void> {
  if (hashes.length === 0) return
  const objects = await app.database.write((tx) => deleteFilesIfUnused(tx, hashes))
  for (const [store, its] of Map.groupBy(objects, (object) => object.store)) {
    if (!(await isStoreUsable(app, store))) continue
    await dropObjects(
      app,
      store,
      its.map(({ objectKey }) => objectKey),
    )
  }
}

import type { App } from '../../app.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
import { storeNamed } from '../../infra/object-store/object-stores.ts'
import { removeAbandonedFiles } from '../../infra/object-store/staged-file.ts'
import { deleteExpiredReservations } from '../../storage/media/media.ts'
import { deleteUnusedFiles } from '../../storage/media/media-files.ts'
import { deleteExpiredPreviews } from '../../storage/media/url-previews.ts'
import type { StoreName } from '../../storage/schema/media.ts'
import { isStoreUsable } from './check-media-store.ts'
import { deleteOldCopies, deleteOldUploads } from './delete-media.ts'
import { deleteOrphanedObjects } from './objects.ts'

const STORES: readonly StoreName[] = ['disk', 's3']
const INTERVAL_MS = 60 * 60 * 1000
const BATCH = 100
/** Longer than any upload takes between writing its object and its row. */
const ORPHANED_MS = 60 * 60 * 1000

/** Sweeps now and every hour until the server stops. `stop` waits for a sweep in progress. */
export function startMediaSweeps(app: App): { stop(): Promise<void> } {
  return repeat(app, { every: INTERVAL_MS, failure: 'media sweep failed', level: 'error' }, async () => {
    const usable = await Promise.all(STORES.map(async (store) => ((await isStoreUsable(app, store)) ? [store] : [])))
    await sweepMedia(app, usable.flat())
  })
}

/**
 * Deletes unreachable media: expired reservations and URL previews, unused remote media, files without media, and in the
 * given stores objects orphaned by crashes. Several processes may sweep concurrently.
 */
export async function sweepMedia(app: App, stores: readonly StoreName[] = [app.media.stores.current]): Promise<void> {
  const now = app.clock.now()
  await app.database.write((tx) => deleteExpiredReservations(tx, now))
  const { remote_cache_lifetime, local_lifetime } = app.config.media
  await deleteOldCopies(app, now - remote_cache_lifetime)
  if (local_lifetime !== undefined)
    await deleteOldUploads(app, { before: now - local_lifetime, sizeAbove: -1, keepAvatars: true })
  while (!app.stopping.aborted && (await app.database.write((tx) => deleteExpiredPreviews(tx, now, BATCH))) === BATCH);
  while (!app.stopping.aborted && (await app.database.write((tx) => deleteUnusedFiles(tx, BATCH))) === BATCH);
  for (const store of stores) await sweepStore(app, store, now)
}

async function sweepStore(app: App, store: StoreName, now: number): Promise<void> {
  await removeAbandonedFiles(storeNamed(app.media.stores, store).stagingFolder, now)
  const orphans = { store, cutoff: now - ORPHANED_MS, limit: BATCH }
  while (!app.stopping.aborted && (await deleteOrphanedObjects(app, orphans)) === BATCH);
}

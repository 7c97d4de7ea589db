import type { App } from '../../app.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
import { storeNamed } from '../../infra/object-store/object-stores.ts'
import { removeAbandonedFiles } from '../../infra/object-store/staged-file.ts'
import { deleteExpiredReservations } from '../../storage/media/media.ts'
import { deleteUnusedFiles } from '../../storage/media/media-files.ts'
import { deleteUnusedRemoteMedia } from '../../storage/media/remote-media.ts'
import { deleteExpiredPreviews } from '../../storage/media/url-previews.ts'
import type { StoreName } from '../../storage/schema/media.ts'
import { checkMediaStore } from './check-media-store.ts'
import { deleteOrphanedObjects } from './objects.ts'

const STORES: readonly StoreName[] = ['disk', 's3']
const FAILURE = 'media sweep failed'
const INTERVAL_MS = 60 * 60 * 1000
const BATCH = 100
/** Longer than any upload takes between writing its object and its row. */
const ORPHANED_MS = 60 * 60 * 1000

/** Sweeps now and every hour until the server stops. `stop` waits for a sweep in progress. */
export function startMediaSweeps(app: App): { stop(): Promise<void> } {
  return repeat(app, { every: INTERVAL_MS, failure: FAILURE, level: 'error' }, async () => {
    const usable = await Promise.all(STORES.map(async (store) => ((await isUsable(app, store)) ? [store] : [])))
    await sweepMedia(app, usable.flat())
  })
}

/** Whether a store is the server's. In another one its objects could not be deleted. */
async function isUsable(app: App, store: StoreName): Promise<boolean> {
  try {
    return await checkMediaStore(app, store)
  } catch (err) {
    app.logger.error({ err, store }, FAILURE)
    return false
  }
}

/**
 * Deletes unreachable media: expired reservations and URL previews, unused remote media, files without media, and in the
 * given stores objects orphaned by crashes. Several processes may sweep concurrently.
 */
export async function sweepMedia(app: App, stores: readonly StoreName[] = [app.media.stores.current]): Promise<void> {
  const now = app.clock.now()
  await app.database.write((tx) => deleteExpiredReservations(tx, now))
  const unused = now - app.config.media.remote_cache_lifetime
  while (
    !app.stopping.aborted &&
    (await app.database.write((tx) => deleteUnusedRemoteMedia(tx, unused, BATCH))) === BATCH
  );
  while (!app.stopping.aborted && (await app.database.write((tx) => deleteExpiredPreviews(tx, now, BATCH))) === BATCH);
  while (!app.stopping.aborted && (await app.database.write((tx) => deleteUnusedFiles(tx, BATCH))) === BATCH);
  for (const store of stores) await sweepStore(app, store, now)
}

async function sweepStore(app: App, store: StoreName, now: number): Promise<void> {
  await removeAbandonedFiles(storeNamed(app.media.stores, store).stagingFolder, now)
  const orphans = { store, cutoff: now - ORPHANED_MS, limit: BATCH }
  while (!app.stopping.aborted && (await deleteOrphanedObjects(app, orphans)) === BATCH);
}

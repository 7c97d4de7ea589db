import type { App } from '../../app.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
import { removeAbandonedFiles } from '../../infra/object-store/staged-file.ts'
import { deleteExpiredReservations } from '../../storage/media/media.ts'
import { deleteUnusedFiles } from '../../storage/media/media-files.ts'
import { deleteUnusedRemoteMedia } from '../../storage/media/remote-media.ts'
import { deleteExpiredPreviews } from '../../storage/media/url-previews.ts'
import { checkMediaStore } from './check-media-store.ts'
import { deleteOrphanedObjects } from './objects.ts'

const INTERVAL_MS = 60 * 60 * 1000
const BATCH = 100
/** Longer than any upload takes between writing its object and its row. */
const ORPHANED_MS = 60 * 60 * 1000

/**
 * Sweeps now and every hour until the server stops. Skipped if this process uses another store, where the objects could
 * not be deleted.
 *
 * `stop` waits for a sweep in progress.
 */
export function startMediaSweeps(app: App): { stop(): Promise<void> } {
  const options = { every: INTERVAL_MS, failure: 'media sweep failed', level: 'error' } as const
  return repeat(app, options, async () => {
    if (await checkMediaStore(app)) await sweepMedia(app)
  })
}

/**
 * Deletes unreachable media: expired reservations and URL previews, unused remote media, files without media, and
 * objects orphaned by crashes. Several processes may sweep concurrently.
 */
export async function sweepMedia(app: App): Promise<void> {
  const now = app.clock.now()
  await removeAbandonedFiles(app.media.objects.stagingFolder, now)
  await app.database.write((tx) => deleteExpiredReservations(tx, now))
  const unused = now - app.config.media.remote_cache_lifetime
  while (
    !app.stopping.aborted &&
    (await app.database.write((tx) => deleteUnusedRemoteMedia(tx, unused, BATCH))) === BATCH
  );
  while (!app.stopping.aborted && (await app.database.write((tx) => deleteExpiredPreviews(tx, now, BATCH))) === BATCH);
  while (!app.stopping.aborted && (await app.database.write((tx) => deleteUnusedFiles(tx, BATCH))) === BATCH);
  while (
    !app.stopping.aborted &&
    (await deleteOrphanedObjects(app, { cutoff: now - ORPHANED_MS, limit: BATCH })) === BATCH
  );
}

import { LRUCache } from 'lru-cache'
import type { Config } from '../../config.ts'
import type { UserId } from '../../core/ids.ts'
import { createLanes, type Lanes } from '../../infra/concurrency/lanes.ts'
import { createSingleFlight, type SingleFlight } from '../../infra/concurrency/single-flight.ts'
import type { Logger } from '../../infra/logger.ts'
import type { Scan } from '../../infra/media/scanner.ts'
import { createThumbnailer, type Thumbnailer } from '../../infra/media/thumbnails.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import { joinStores, type ObjectStores } from '../../infra/object-store/object-stores.ts'
import type { StoredPreview } from '../../storage/media/url-previews.ts'
import type { ThumbnailRow } from '../../storage/schema/media.ts'

/** The object stores, the thumbnailer and their work in flight. */
export type MediaStore = {
  stores: ObjectStores
  /** The stores as one. */
  objects: ObjectStore
  thumbnailer: Thumbnailer
  /** ffmpeg runs for one video at a time. `failed`: hashes of files of which it made no frame in the last hour. */
  posters: { turns: Lanes<'ffmpeg'>; failed: LRUCache<string, true> }
  /** By thumbnail key, so that concurrent requests make a thumbnail once. */
  thumbnailsUnderWay: SingleFlight<ThumbnailRow>
  /** By key of the preview, so that concurrent requests fetch a page once. */
  previews: SingleFlight<StoredPreview>
  /** By media name, so that concurrent requests fetch a remote file once. */
  fetches: SingleFlight<void>
  /** Scans a file for malware; undefined if no scanner is configured. */
  scan: Scan | undefined
  /** By hash, so that concurrent requests scan a stored file once. */
  scans: SingleFlight<void>
  /** Runs the uploads of a user; undefined if the user has the maximum number in flight. */
  uploads: Lanes<UserId>
}

const POSTERS_WAITING = 100
const POSTERS_FAILED = 10_000
const POSTERS_FAILED_MS = 3_600_000

const NO_THUMBNAILS =
  'thumbnails disabled, the library sharp does not load. Run npm install --include=optional on this machine, and restart.'

/** Creates the store over those that `openObjectStores` has opened, without I/O. */
export function createMediaStore(
  config: Config['media'],
  { stores, scan, logger }: { stores: ObjectStores; scan: Scan | undefined; logger: Logger },
): MediaStore {
  return {
    scan,
    scans: createSingleFlight(),
    stores,
    objects: joinStores(stores),
    thumbnailer: createThumbnailer(config.max_image_pixels, (err) => logger.error({ err }, NO_THUMBNAILS)),
    posters: {
      turns: createLanes({ each: 1, waiting: POSTERS_WAITING }),
      failed: new LRUCache({ max: POSTERS_FAILED, ttl: POSTERS_FAILED_MS }),
    },
    thumbnailsUnderWay: createSingleFlight(),
    previews: createSingleFlight(),
    fetches: createSingleFlight(),
    uploads: createLanes({ each: config.max_concurrent_uploads, waiting: 0 }),
  }
}

import type { Config } from '../../config.ts'
import type { UserId } from '../../core/ids.ts'
import { createLanes, type Lanes } from '../../infra/concurrency/lanes.ts'
import { createSingleFlight, type SingleFlight } from '../../infra/concurrency/single-flight.ts'
import type { Logger } from '../../infra/logger.ts'
import { createThumbnailer, type Thumbnailer } from '../../infra/media/thumbnails.ts'
import { createDiskStore } from '../../infra/object-store/disk.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import type { ThumbnailRow } from '../../storage/schema/media.ts'

/** What a server keeps files in and makes their thumbnails with. */
export type MediaStore = {
  objects: ObjectStore
  thumbnailer: Thumbnailer
  /** By what tells thumbnails apart, so that a thumbnail that many ask for is made once. */
  thumbnailsUnderWay: SingleFlight<ThumbnailRow>
  /** By name, so that a file of another server that many ask for is fetched once. */
  fetches: SingleFlight<void>
  /** Runs the uploads of a user; undefined when there are as many already as each may have. */
  uploads: Lanes<UserId>
}

const NO_THUMBNAILS =
  'Thumbnails cannot be made, for the library sharp does not load: run npm install --include=optional on this machine, and restart'

/** The store as configured; touches nothing yet. */
export function createMediaStore(config: Config['media'], logger: Logger): MediaStore {
  return {
    objects: createDiskStore(config.storage_dir),
    thumbnailer: createThumbnailer(config.max_image_pixels, (err) => logger.error({ err }, NO_THUMBNAILS)),
    thumbnailsUnderWay: createSingleFlight(),
    fetches: createSingleFlight(),
    uploads: createLanes({ each: config.max_concurrent_uploads, waiting: 0 }),
  }
}

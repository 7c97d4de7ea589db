import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../app.ts'
import type { MediaName } from '../../core/content-uri.ts'
import { MatrixError, NotFoundError } from '../../core/errors.ts'
import { backOff } from '../../infra/concurrency/back-off.ts'
import { findStoredMedia, noteMediaAccess, type StoredFile, type StoredMedia } from '../../storage/media/media.ts'
import { servedContentType } from './content-type.ts'

/** A media entry with its file. `contentType` is the one to serve. */
export type Media = { contentType: string; filename: string | null; file: StoredFile }

/** Minimum interval between updates of the time of the last access. */
const NOTE_AFTER_MS = 24 * 3_600_000
const PAUSES = { first: 50, longest: 1000 }

/**
 * Finds local media. Waits for a pending upload, at any process, for up to `timeoutMs` or until `signal` aborts. Throws
 * M_NOT_FOUND, also for quarantined media, and M_NOT_YET_UPLOADED on timeout.
 */
export async function findLocalMedia(
  app: App,
  name: MediaName,
  wait: { timeoutMs: number; signal: AbortSignal },
): Promise<Media> {
  for (let waited = 0, looks = 0; ; looks++) {
    const media = await findStoredMedia(app.database, name)
    if (!media || media.quarantinedBy !== null) throw new NotFoundError('Unknown media')
    if (media.file) return requested(app, name, media, media.file)
    if ((media.expiresTs ?? 0) <= app.clock.now()) throw new NotFoundError('Unknown media')
    const left = Math.min(backOff(looks, PAUSES), wait.timeoutMs - waited)
    if (left <= 0 || wait.signal.aborted)
      throw new MatrixError(504, 'M_NOT_YET_UPLOADED', 'The file has not been uploaded yet')
    await pause(left, undefined, { signal: wait.signal }).catch(() => {})
    waited += left
  }
}

/** Finds stored media of any server. Throws M_NOT_FOUND for quarantined media. */
export async function findKeptMedia(app: App, name: MediaName): Promise<Media | undefined> {
  const media = await findStoredMedia(app.database, name)
  if (media && media.quarantinedBy !== null) throw new NotFoundError('Unknown media')
  return media?.file ? requested(app, name, media, media.file) : undefined
}

/** Notes the access, if the last one was long ago. */
async function requested(app: App, name: MediaName, media: StoredMedia, file: StoredFile): Promise<Media> {
  const { filename, accessedTs, uploader } = media
  const now = app.clock.now()
  const { remote_cache_lifetime, local_lifetime } = app.config.media
  const lifetime = uploader === null ? remote_cache_lifetime : (local_lifetime ?? Number.POSITIVE_INFINITY)
  const noteAfter = now - Math.min(NOTE_AFTER_MS, Math.floor(lifetime / 10))
  if (accessedTs !== null && accessedTs < noteAfter)
    await app.database.writeLazily((tx) => noteMediaAccess(tx, name, { now, noteAfter }))
  return { contentType: servedContentType(media.contentType, file.detectedType), filename, file }
}

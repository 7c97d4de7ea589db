import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../app.ts'
import { MatrixError, NotFoundError } from '../../core/errors.ts'
import { backOff } from '../../infra/concurrency/back-off.ts'
import { findStoredMedia, type MediaName, type StoredFile, type StoredMedia } from '../../storage/media/media.ts'
import { servedContentType } from './content-type.ts'

/** A media entry with its file. `contentType` is the one to serve. */
export type Media = { contentType: string; filename: string | null; accessedTs: number | null; file: StoredFile }

const PAUSES = { first: 50, longest: 1000 }

/**
 * Finds local media. Waits for a pending upload, at any process, for up to `timeoutMs` or until `signal` aborts. Throws
 * M_NOT_FOUND, and M_NOT_YET_UPLOADED on timeout.
 */
export async function findLocalMedia(
  app: App,
  name: MediaName,
  wait: { timeoutMs: number; signal: AbortSignal },
): Promise<Media> {
  for (let waited = 0, looks = 0; ; looks++) {
    const media = await findStoredMedia(app.database, name)
    if (media?.file) return describe(media, media.file)
    if (!media || (media.expiresTs ?? 0) <= app.clock.now()) throw new NotFoundError('Unknown media')
    const left = Math.min(backOff(looks, PAUSES), wait.timeoutMs - waited)
    if (left <= 0 || wait.signal.aborted)
      throw new MatrixError(504, 'M_NOT_YET_UPLOADED', 'The file has not been uploaded yet')
    await pause(left, undefined, { signal: wait.signal }).catch(() => {})
    waited += left
  }
}

/** Finds stored media of any server. */
export async function findKeptMedia(app: Pick<App, 'database'>, name: MediaName): Promise<Media | undefined> {
  const media = await findStoredMedia(app.database, name)
  return media?.file ? describe(media, media.file) : undefined
}

function describe(media: StoredMedia, file: StoredFile): Media {
  const { filename, accessedTs } = media
  return { contentType: servedContentType(media.contentType, file.detectedType), filename, accessedTs, file }
}

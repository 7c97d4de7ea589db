import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../app.ts'
import { MatrixError, NotFoundError } from '../../core/errors.ts'
import { findStoredMedia, type MediaName, type StoredFile, type StoredMedia } from '../../storage/media.ts'
import { servedContentType } from './content-type.ts'

/** A medium with its file. `contentType` is the one to serve it with. */
export type Media = { contentType: string; filename: string | null; file: StoredFile }

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/**
 * Finds a medium. One that is reserved is waited for up to `timeoutMs`, whichever process it is uploaded to, or until `signal` aborts.
 * Throws M_NOT_FOUND, and M_NOT_YET_UPLOADED when the time is over.
 */
export async function findMedia(
  app: App,
  name: MediaName,
  wait: { timeoutMs: number; signal: AbortSignal },
): Promise<Media> {
  if (name.serverName !== app.serverName) throw new NotFoundError('This server has no media of other servers')
  for (let waited = 0, step = FIRST_PAUSE_MS; ; step = Math.min(step * 2, LONGEST_PAUSE_MS)) {
    const media = await findStoredMedia(app.database, name)
    if (media?.file) return describe(media, media.file)
    if (!media || (media.expiresTs ?? 0) <= app.clock.now()) throw new NotFoundError('There is no such media')
    const left = Math.min(step, wait.timeoutMs - waited)
    if (left <= 0 || wait.signal.aborted)
      throw new MatrixError(504, 'M_NOT_YET_UPLOADED', 'The file has not been uploaded yet')
    await pause(left, undefined, { signal: wait.signal }).catch(() => {})
    waited += left
  }
}

function describe(media: StoredMedia, file: StoredFile): Media {
  return { contentType: servedContentType(media.contentType, file.detectedType), filename: media.filename, file }
}

import type { App } from '../../app.ts'
import type { MediaName } from '../../core/content-uri.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { reserveMediaName } from '../../storage/media/media.ts'
import { newMediaName } from './upload-media.ts'

/**
 * Reserves a media ID for an upload by the user until `expiresTs` (milliseconds since 1970). Throws M_LIMIT_EXCEEDED if
 * the user has too many pending uploads.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create
 */
export async function reserveMedia(app: App, uploader: UserId): Promise<{ name: MediaName; expiresTs: number }> {
  const { async_upload_expiry: expiry, max_pending_uploads: limit } = app.config.media
  const name = newMediaName(app)
  const createdTs = app.clock.now()
  const expiresTs = createdTs + expiry
  const reserved = await app.database.write((tx) =>
    reserveMediaName(tx, { ...name, uploader, createdTs, expiresTs, limit }),
  )
  if (!reserved)
    throw new MatrixError(
      429,
      'M_LIMIT_EXCEEDED',
      `Finish your ${limit} pending uploads before you reserve another one`,
    )
  return { name, expiresTs }
}

import type { App } from '../../app.ts'
import type { MediaName } from '../../core/content-uri.ts'
import { ForbiddenError, MatrixError, NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { fillReservedMedia, findStoredMedia, insertMedia, type StoredMedia } from '../../storage/media/media.ts'
import { acceptedContentType } from './content-type.ts'
import { safeFileName } from './file-name.ts'
import { storeFile } from './store-file.ts'

/** An upload of a client. */
export type Upload = {
  uploader: UserId
  contentType: string | undefined
  filename: string | undefined
  source: AsyncIterable<Buffer>
}

const MEDIA_ID_LENGTH = 24

/** Returns a new, unguessable media ID of this server. */
export function newMediaName(app: App): MediaName {
  return { serverName: app.serverName, mediaId: app.random.token(MEDIA_ID_LENGTH) }
}

/**
 * Stores a file under a new media ID. Throws M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload
 */
export async function uploadMedia(app: App, upload: Upload): Promise<MediaName> {
  const name = newMediaName(app)
  const described = describe(upload)
  await storeFile(app, upload.source, (tx, sha256) =>
    insertMedia(tx, { ...name, ...described, sha256, uploader: upload.uploader, createdTs: app.clock.now() }),
  )
  return name
}

/**
 * Stores a file under a media ID that its uploader reserved. Throws M_NOT_FOUND for an unknown or expired ID,
 * M_FORBIDDEN for another user's, M_CANNOT_OVERWRITE_MEDIA if it has a file, M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid
 */
export async function uploadReservedMedia(app: App, name: MediaName, upload: Upload): Promise<void> {
  // Checked before the body is read, so that no large upload fails at its end. The transaction checks again.
  checkMayFill(app, await findStoredMedia(app.database, name), upload.uploader)
  const described = describe(upload)
  await storeFile(app, upload.source, async (tx, sha256) => {
    if (await fillReservedMedia(tx, { ...name, ...described, sha256, now: app.clock.now() })) return
    checkMayFill(app, await findStoredMedia(tx, name), upload.uploader)
    throw noReservation()
  })
}

function checkMayFill(app: App, media: StoredMedia | undefined, user: UserId): void {
  if (!media) throw noReservation()
  if (media.uploader !== user) throw new ForbiddenError('Another user reserved this media id')
  if (media.file) throw new MatrixError(409, 'M_CANNOT_OVERWRITE_MEDIA', 'A file was already uploaded to this media id')
  if ((media.expiresTs ?? 0) <= app.clock.now()) throw noReservation()
}

function noReservation(): NotFoundError {
  return new NotFoundError('This media id is not reserved, or the reservation has expired')
}

function describe({ contentType, filename }: Upload): { contentType: string; filename: string | null } {
  return { contentType: acceptedContentType(contentType), filename: safeFileName(filename) ?? null }
}

import type { App } from '../../app.ts'
import type { MediaName } from '../../core/content-uri.ts'
import { ForbiddenError, MatrixError, NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { ByteSource } from '../../infra/object-store/staged-file.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { fillReservedMedia, findStoredMedia, insertMedia, type StoredMedia } from '../../storage/media/media.ts'
import { acceptedContentType } from './content-type.ts'
import { safeFileName } from './file-name.ts'
import { storeFile } from './store-file.ts'
import { checkUploadLimits, holdUploadLimits } from './upload-limits.ts'

/** An upload of a client. */
export type Upload = {
  uploader: UserId
  contentType: string | undefined
  filename: string | undefined
  /** The size that the client announced; it may lie. */
  announcedSize?: number
  /** Whether `media.upload_limits` apply; default: they do. */
  isLimited?: boolean
  source: ByteSource
}

const MEDIA_ID_LENGTH = 24
/** Smaller uploads are received before the limits are checked, which saves a query. */
const WORTH_A_CHECK = 1024 * 1024

/** Returns a new, unguessable media ID of this server. */
export function newMediaName(app: App): MediaName {
  return { serverName: app.serverName, mediaId: app.random.token(MEDIA_ID_LENGTH) }
}

/**
 * Stores a file under a new media ID. Throws M_TOO_LARGE, M_USER_LIMIT_EXCEEDED, and ContentRefusedError.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload
 */
export async function uploadMedia(app: App, upload: Upload): Promise<MediaName> {
  const name = newMediaName(app)
  const described = describe(upload)
  await refuseEarly(app, upload)
  await storeFile(app, upload.source, async (tx, sha256, size) => {
    await holdLimits(app, tx, upload, size)
    await insertMedia(tx, { ...name, ...described, sha256, uploader: upload.uploader, createdTs: app.clock.now() })
  })
  return name
}

/**
 * Stores a file under a media ID that its uploader reserved. Throws M_NOT_FOUND for an unknown or expired ID,
 * M_FORBIDDEN for another user's, M_CANNOT_OVERWRITE_MEDIA if it has a file, and as `uploadMedia`.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid
 */
export async function uploadReservedMedia(app: App, name: MediaName, upload: Upload): Promise<void> {
  // Checked before the body is read, so that no large upload fails at its end. The transaction checks again.
  checkMayFill(app, await findStoredMedia(app.database, name), upload.uploader)
  await refuseEarly(app, upload)
  const described = describe(upload)
  await storeFile(app, upload.source, async (tx, sha256, size) => {
    await holdLimits(app, tx, upload, size)
    if (await fillReservedMedia(tx, { ...name, ...described, sha256, now: app.clock.now() })) return
    checkMayFill(app, await findStoredMedia(tx, name), upload.uploader)
    throw noReservation()
  })
}

/** Refuses a large upload before its body is read. */
async function refuseEarly(app: App, { uploader, announcedSize = 0, isLimited = true }: Upload): Promise<void> {
  if (isLimited && announcedSize > WORTH_A_CHECK)
    await checkUploadLimits(app, app.database, { uploader, size: announcedSize })
}

async function holdLimits(app: App, tx: Tx, { uploader, isLimited = true }: Upload, size: number): Promise<void> {
  if (isLimited) await holdUploadLimits(app, tx, { uploader, size })
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

import { Readable } from 'node:stream'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { IMAGE_TYPES, type ThumbnailSpec } from '../../infra/media/thumbnails.ts'
import { discardStagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import type { StoredFile } from '../../storage/media/media.ts'
import { findStoredThumbnail, insertThumbnail, type ThumbnailKey } from '../../storage/media/media-thumbnails.ts'
import type { ThumbnailRow } from '../../storage/schema/media.ts'
import { dropObject, putObject } from './objects.ts'
import { openFile } from './open-file.ts'
import { thumbnailStep } from './thumbnail-step.ts'
import { grabPoster, isVideoWithPoster } from './video-poster.ts'

/** A thumbnail in the object store; `etag` is unique among all files and thumbnails. */
export type Thumbnail = { objectKey: string; contentType: string; size: number; etag: string }

/**
 * Returns the thumbnail of a file, which the first request creates. Throws M_UNKNOWN for a file that is neither an image
 * nor a video with a poster, and M_TOO_LARGE for an image with too many pixels. https://spec.matrix.org/v1.19/client-server-api/#thumbnails
 */
export async function thumbnailMedia(app: App, file: StoredFile, request: ThumbnailSpec): Promise<Thumbnail> {
  const isImage = IMAGE_TYPES.includes(file.detectedType ?? '')
  if (!isImage && !isVideoWithPoster(app, file))
    throw new MatrixError(400, 'M_UNKNOWN', 'This server makes no thumbnails of this type of file')
  const wanted = { ...request, animated: request.animated && isImage }
  const key = { sha256: file.sha256, ...thumbnailStep(wanted, app.config.media.thumbnail_sizes) }
  const etag = `${key.sha256}.${key.width}x${key.height}${key.method}${key.animated ? '.animated' : ''}`
  const stored =
    (await findStoredThumbnail(app.database, key)) ??
    (await app.media.thumbnailsUnderWay(etag, () => makeThumbnail(app, file, key)))
  return { objectKey: stored.object_key ?? file.objectKey, contentType: stored.content_type, size: stored.size, etag }
}

async function makeThumbnail(app: App, file: StoredFile, key: ThumbnailKey): Promise<ThumbnailRow> {
  const frame = isVideoWithPoster(app, file) ? await grabPoster(app, file) : undefined
  const load = async () => (frame ? Readable.from([frame]) : openFile(app, file.objectKey))
  const { bytes: smaller, contentType } = await app.media.thumbnailer.render(load, key)
  const bytes = smaller ?? frame
  const row = { ...key, object_key: null, store: null, content_type: contentType, size: bytes?.length ?? file.size }
  if (bytes) return storeThumbnail(app, bytes, row)
  await app.database.write((tx) => insertThumbnail(tx, row))
  return row
}

async function storeThumbnail(app: App, bytes: Buffer, row: ThumbnailRow): Promise<ThumbnailRow> {
  const staged = await stageFile(app.media.objects.stagingFolder, Readable.from([bytes]), bytes.length)
  try {
    const object = await putObject(app, staged)
    const made = { ...row, object_key: object.objectKey, store: object.store }
    if (await app.database.write((tx) => insertThumbnail(tx, made))) return made
    // Another process was faster.
    await dropObject(app, object)
    const { sha256, width, height, method, animated } = row
    const other = await findStoredThumbnail(app.database, { sha256, width, height, method, animated })
    if (other) return other
    throw new MatrixError(404, 'M_NOT_FOUND', 'The file has been deleted')
  } finally {
    await discardStagedFile(staged)
  }
}

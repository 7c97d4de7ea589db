import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { App } from '../../app.ts'
import { contentUriOf } from '../../core/content-uri.ts'
import { MatrixError, TooLargeError } from '../../core/errors.ts'
import type { ByteSource } from '../../infra/object-store/staged-file.ts'
import { reserveMedia } from '../../services/media/reserve-media.ts'
import { type Upload, uploadMedia, uploadReservedMedia } from '../../services/media/upload-media.ts'
import { route, type Session } from '../http/route.ts'
import { mediaPath } from './media-fields.ts'
import { readUpload } from './read-upload.ts'

const RETRY_MS = 5000

const uploadQuery = z.object({ filename: z.string().optional() })

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload */
export const postUpload = route({
  method: 'POST',
  path: ['/_matrix/media/v3/upload', '/_matrix/media/r0/upload', '/_matrix/media/v1/upload'],
  auth: 'user',
  rateLimit: 'media',
  query: uploadQuery,
  body: 'stream',
  async handle({ request, query, session }, app) {
    const name = await receive(app, { request: request.raw, session }, (source) =>
      uploadMedia(app, { ...describe(request.raw, query.filename, session), source }),
    )
    return { content_uri: contentUriOf(name) }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create */
export const postCreateMedia = route({
  method: 'POST',
  path: '/_matrix/media/v1/create',
  auth: 'user',
  rateLimit: 'media',
  async handle({ session }, app) {
    const { name, expiresTs } = await reserveMedia(app, session.userId)
    return { content_uri: contentUriOf(name), unused_expires_at: expiresTs }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid */
export const putUpload = route({
  method: 'PUT',
  path: '/_matrix/media/v3/upload/:serverName/:mediaId',
  auth: 'user',
  rateLimit: 'media',
  params: mediaPath,
  query: uploadQuery,
  body: 'stream',
  async handle({ request, params, query, session }, app) {
    await receive(app, { request: request.raw, session }, (source) =>
      uploadReservedMedia(app, params, { ...describe(request.raw, query.filename, session), source }),
    )
    return {}
  },
})

async function receive<Result>(
  app: App,
  { request, session }: { request: IncomingMessage; session: Session },
  store: (source: ByteSource) => Promise<Result>,
): Promise<Result> {
  const { max_upload_size: limit, max_concurrent_uploads: most } = app.config.media
  if (Number(request.headers['content-length'] ?? 0) > limit)
    throw new TooLargeError(`The file is larger than ${limit} bytes`)
  const work = () => store(readUpload(request, app.config))
  if (session.exemptFromRateLimits) return work()
  const stored = app.media.uploads(session.userId, work)
  if (stored) return stored
  const retry = { retry_after_ms: RETRY_MS }
  throw new MatrixError(
    429,
    'M_LIMIT_EXCEEDED',
    `You are already uploading ${most} files. Wait until one is finished.`,
    retry,
  )
}

function describe(request: IncomingMessage, filename: string | undefined, session: Session): Omit<Upload, 'source'> {
  return {
    uploader: session.userId,
    contentType: request.headers['content-type'],
    filename,
    announcedSize: Number(request.headers['content-length'] ?? 0),
    isLimited: !session.exemptFromRateLimits,
  }
}

import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { findMedia } from '../../services/lookup/find-media.ts'
import { mayShowInline } from '../../services/media/content-type.ts'
import { safeFileName } from '../../services/media/file-name.ts'
import { type Call, type RESPONDED, route } from '../http/route.ts'
import { mediaPath, redirectQuery, remoteQuery } from './media-fields.ts'
import { sendContent } from './send-content.ts'

const downloadPath = mediaPath.extend({ fileName: z.string().optional() })

type DownloadCall = Pick<
  Call<typeof downloadPath, typeof redirectQuery, undefined, unknown>,
  'params' | 'query' | 'request' | 'response' | 'owner' | 'signal'
>

/**
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid and …/{fileName}
 */
export const getDownload = route({
  method: 'GET',
  path: [
    '/_matrix/client/v1/media/download/:serverName/:mediaId',
    '/_matrix/client/v1/media/download/:serverName/:mediaId/:fileName',
  ],
  auth: 'user',
  guests: true,
  rateLimit: 'media',
  params: downloadPath,
  query: redirectQuery,
  handle: (call, app) => download(app, call, { cache: 'private' }),
})

/**
 * The deprecated, unauthenticated download:
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3downloadservernamemediaid and …/{fileName}
 */
export const getUnauthenticatedDownload = route({
  method: 'GET',
  path: ['v3', 'r0', 'v1'].flatMap((version) => [
    `/_matrix/media/${version}/download/:serverName/:mediaId`,
    `/_matrix/media/${version}/download/:serverName/:mediaId/:fileName`,
  ]),
  auth: 'none',
  recognizesUsers: true,
  rateLimit: 'media',
  params: downloadPath,
  query: remoteQuery,
  handle(call, app) {
    checkUnauthenticatedAccess(app)
    return download(app, call, { cache: 'public', allowRemote: call.query.allow_remote })
  },
})

/**
 * Throws M_NOT_FOUND unless unauthenticated downloads are enabled:
 * https://spec.matrix.org/v1.19/client-server-api/#content-repo-client-behaviour
 */
export function checkUnauthenticatedAccess(app: App): void {
  if (!app.config.media.unauthenticated_downloads) {
    throw new NotFoundError('Media are available at /_matrix/client/v1/media, with an access token')
  }
}

async function download(
  app: App,
  call: DownloadCall,
  { cache, allowRemote = true }: { cache: 'private' | 'public'; allowRemote?: boolean },
): Promise<typeof RESPONDED> {
  const { params, query, signal } = call
  const { contentType, filename, file } = await findMedia(app, params, {
    timeoutMs: query.timeout_ms,
    signal,
    allowRemote,
  })
  return sendContent(app, call, {
    objectKey: file.objectKey,
    size: file.size,
    etag: file.sha256,
    contentType,
    disposition: mayShowInline(contentType) ? 'inline' : 'attachment',
    filename: safeFileName(params.fileName) ?? filename ?? undefined,
    cache,
    mayRedirect: query.allow_redirect,
  })
}

import { z } from 'zod'
import type { App } from '../../app.ts'
import { findMedia } from '../../services/lookup/find-media.ts'
import { thumbnailMedia } from '../../services/media/thumbnail-media.ts'
import { queryBoolean, queryInteger } from '../http/fields.ts'
import { type Call, type RESPONDED, route } from '../http/route.ts'
import { checkUnauthenticatedAccess } from './download.ts'
import { mediaPath, redirectQuery, remoteQuery, waitQuery } from './media-fields.ts'
import { sendContent } from './send-content.ts'

const thumbnailFields = {
  width: queryInteger.min(1),
  height: queryInteger.min(1),
  method: z.enum(['crop', 'scale']).default('scale'),
  animated: queryBoolean.default(false),
}

/** https://spec.matrix.org/v1.19/client-server-api/#thumbnails */
export const thumbnailQuery = waitQuery.extend(thumbnailFields)

const clientQuery = redirectQuery.extend(thumbnailFields)

type ThumbnailCall = Pick<
  Call<typeof mediaPath, typeof clientQuery, undefined, unknown>,
  'params' | 'query' | 'request' | 'response' | 'owner' | 'signal'
>

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid */
export const getThumbnail = route({
  method: 'GET',
  path: '/_matrix/client/v1/media/thumbnail/:serverName/:mediaId',
  auth: 'user',
  guests: true,
  rateLimit: 'media',
  params: mediaPath,
  query: clientQuery,
  handle: (call, app) => thumbnail(app, call, { cache: 'private' }),
})

/**
 * The deprecated, unauthenticated thumbnail:
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3thumbnailservernamemediaid
 */
export const getUnauthenticatedThumbnail = route({
  method: 'GET',
  path: ['v3', 'r0', 'v1'].map((version) => `/_matrix/media/${version}/thumbnail/:serverName/:mediaId`),
  auth: 'none',
  recognizesUsers: true,
  rateLimit: 'media',
  params: mediaPath,
  query: remoteQuery.extend(thumbnailFields),
  handle(call, app) {
    checkUnauthenticatedAccess(app)
    return thumbnail(app, call, { cache: 'public', allowRemote: call.query.allow_remote })
  },
})

async function thumbnail(
  app: App,
  call: ThumbnailCall,
  { cache, allowRemote = true }: { cache: 'private' | 'public'; allowRemote?: boolean },
): Promise<typeof RESPONDED> {
  const { params, query, signal } = call
  const { file } = await findMedia(app, params, { timeoutMs: query.timeout_ms, signal, allowRemote })
  const { contentType, ...content } = await thumbnailMedia(app, file, query)
  return sendContent(app, call, {
    ...content,
    contentType,
    disposition: 'inline',
    filename: thumbnailName(contentType),
    cache,
    mayRedirect: query.allow_redirect,
  })
}

/** Returns the file name of a thumbnail when it is saved. */
export function thumbnailName(contentType: string): string {
  return `thumbnail.${contentType.replace('image/', '').replace('jpeg', 'jpg')}`
}

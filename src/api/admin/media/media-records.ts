import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../../core/errors.ts'
import { serverNameOf, type UserId } from '../../../core/ids.ts'
import { deleteLocalMedia, deleteLocalMediaById } from '../../../services/media/delete-media.ts'
import { deleteCopies, deleteUploads } from '../../../services/media/moderation/resumable-work.ts'
import {
  findMediaRecord,
  listMediaOfUser,
  listMediaUsage,
  type MediaOrder,
  type MediaRecord,
} from '../../../storage/media/local-media.ts'
import { findUser } from '../../../storage/users/users.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { queryBoolean, queryInteger, serverName } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { mediaPath } from '../../media/media-fields.ts'
import { listPage, nextToken, ofUser, v1 } from '../admin-fields.ts'
import { hexOf } from './media-fields.ts'

/** Earlier times are seconds, given by mistake: they would be in 1970. */
const EARLIEST_MS = 30_000_000_000

const beforeTs = queryInteger.min(EARLIEST_MS, 'is in 1970: give the time in milliseconds')

const getMedia = route({
  method: 'GET',
  path: v1('/media/:serverName/:mediaId'),
  auth: 'admin',
  params: mediaPath,
  async handle({ params }, app) {
    const media = await findMediaRecord(app.database, params)
    if (!media) throw new NotFoundError('Unknown media')
    return { media_info: describe(app, media) }
  },
})

export const deleteMedia = route({
  method: 'DELETE',
  path: v1('/media/:serverName/:mediaId'),
  auth: 'admin',
  params: mediaPath,
  async handle({ params }, app) {
    requireOwn(app, params.serverName)
    return deleted(await deleteLocalMediaById(app, params))
  },
})

export const postDeleteMedia = route({
  method: 'POST',
  path: [v1('/media/delete'), v1('/media/:serverName/delete')],
  auth: 'admin',
  params: z.object({ serverName: serverName.optional() }),
  query: z.object({
    before_ts: beforeTs,
    size_gt: queryInteger.default(0),
    keep_profiles: queryBoolean.default(true),
  }),
  async handle({ params, query }, app) {
    if (params.serverName !== undefined) requireOwn(app, params.serverName)
    const { before_ts: before, size_gt: sizeAbove, keep_profiles: keepAvatars } = query
    return deleted(await deleteUploads(app, { before, sizeAbove, keepAvatars }))
  },
})

export const postPurgeMediaCache = route({
  method: 'POST',
  path: v1('/purge_media_cache'),
  auth: 'admin',
  query: z.object({ before_ts: beforeTs }),
  handle: async ({ query }, app) => ({ deleted: await deleteCopies(app, query.before_ts) }),
})

type Direction = z.output<typeof direction>

const userMediaQuery = listPage.extend({
  order_by: z
    .enum([
      ...(['media_id', 'upload_name', 'created_ts', 'last_access_ts', 'media_length', 'media_type'] as const),
      ...(['quarantined_by', 'safe_from_quarantine'] as const),
    ])
    .optional(),
  dir: direction.optional(),
})

const getUserMedia = route({
  method: 'GET',
  path: v1('/users/:userId/media'),
  auth: 'admin',
  params: ofUser,
  query: userMediaQuery,
  async handle({ params, query }, app) {
    const { media, total } = await mediaOf(app, params.userId, query)
    return { media: media.map((each) => describe(app, each)), total, ...nextToken(query.from, media.length, total) }
  },
})

const deleteUserMedia = route({
  method: 'DELETE',
  path: v1('/users/:userId/media'),
  auth: 'admin',
  params: ofUser,
  query: userMediaQuery,
  async handle({ params, query }, app) {
    const { media } = await mediaOf(app, params.userId, query)
    const ids = media.map(({ media_id }) => media_id)
    return deleted(await deleteLocalMedia(app, ids))
  },
})

const getMediaUsage = route({
  method: 'GET',
  path: v1('/statistics/users/media'),
  auth: 'admin',
  query: listPage.extend({
    order_by: z.enum(['user_id', 'displayname', 'media_count', 'media_length']).default('user_id'),
    dir: direction.default('forwards'),
    from_ts: queryInteger.default(0),
    until_ts: queryInteger.default(Number.MAX_SAFE_INTEGER),
    search_term: z.string().optional(),
  }),
  async handle({ query: { from, limit, order_by: orderBy, dir, ...query } }, app) {
    const { from_ts: since, until_ts: until, search_term: term } = query
    if (term === '') throw new InvalidParamError('search_term must not be empty')
    if (until < since) throw new InvalidParamError('until_ts must not be before from_ts')
    const order = { from, limit, orderBy, isDescending: dir === 'backwards' }
    const { users, total } = await listMediaUsage(app.database, { ...order, since, until, term: term ?? '' })
    return { users, total, ...nextToken(from, users.length, total) }
  },
})

/** The paths without parameters first: the others match them too. */
export const mediaRecordEndpoints: AnyEndpoint[] = [
  postDeleteMedia,
  postPurgeMediaCache,
  getUserMedia,
  deleteUserMedia,
  getMediaUsage,
  getMedia,
  deleteMedia,
]

/** Without an order, the newest media come first. */
async function mediaOf(
  app: App,
  user: UserId,
  {
    from,
    limit,
    order_by,
    dir,
  }: { from: number; limit: number; order_by?: MediaOrder | undefined; dir?: Direction | undefined },
) {
  if (serverNameOf(user) !== app.serverName) throw notLocal('Only users of this server upload here')
  if (!(await findUser(app.database, user))) throw new NotFoundError('Unknown user')
  const isDescending = dir === undefined ? order_by === undefined : dir === 'backwards'
  return listMediaOfUser(app.database, user, { from, limit, orderBy: order_by ?? 'created_ts', isDescending })
}

function requireOwn(app: App, server: string): void {
  if (server !== app.serverName) throw notLocal('Only media of this server can be deleted so')
}

function notLocal(message: string): MatrixError {
  return new MatrixError(400, 'M_UNKNOWN', message)
}

function deleted(ids: string[]) {
  return { deleted_media: ids, total: ids.length }
}

function describe(app: App, media: MediaRecord) {
  const isLocal = media.server_name === app.serverName
  return {
    media_origin: isLocal ? null : media.server_name,
    user_id: media.uploader,
    media_id: media.media_id,
    media_type: media.content_type,
    media_length: media.size,
    upload_name: media.filename,
    created_ts: media.created_ts,
    last_access_ts: media.accessed_ts,
    filesystem_id: isLocal ? null : media.media_id,
    url_cache: null,
    quarantined_by: media.quarantined_by,
    safe_from_quarantine: isLocal ? media.is_protected : null,
    authenticated: !app.config.media.unauthenticated_downloads,
    sha256: media.sha256 && hexOf(media.sha256),
  }
}

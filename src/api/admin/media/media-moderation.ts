import { z } from 'zod'
import {
  listMediaInRoom,
  protectMedia,
  quarantineChanges,
  quarantineMedia,
  unquarantineMedia,
} from '../../../services/media/moderation/quarantine-media.ts'
import { quarantineRoom, quarantineUser } from '../../../services/media/moderation/resumable-work.ts'
import { requireRoom } from '../../../services/rooms/administration/describe-room.ts'
import { findLocalUser } from '../../../services/users/account-moderation.ts'
import { queryInteger } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { mediaPath } from '../../media/media-fields.ts'
import { ofRoom, ofUser, v1 } from '../admin-fields.ts'

const CHANGES = 100

const ownMedia = mediaPath.pick({ mediaId: true })

const getRoomMedia = route({
  method: 'GET',
  path: v1('/room/:roomId/media'),
  auth: 'admin',
  params: ofRoom,
  async handle({ params: { roomId } }, app) {
    await requireRoom(app, roomId)
    return listMediaInRoom(app, roomId)
  },
})

export const postQuarantineRoom = route({
  method: 'POST',
  path: [v1('/room/:roomId/media/quarantine'), v1('/quarantine_media/:roomId')],
  auth: 'admin',
  params: ofRoom,
  async handle({ params: { roomId }, session }, app) {
    await requireRoom(app, roomId)
    return { num_quarantined: await quarantineRoom(app, roomId, session.userId) }
  },
})

export const postQuarantineUser = route({
  method: 'POST',
  path: v1('/user/:userId/media/quarantine'),
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId }, session }, app) {
    await findLocalUser(app, userId)
    return { num_quarantined: await quarantineUser(app, userId, session.userId) }
  },
})

export const postQuarantine = route({
  method: 'POST',
  path: v1('/media/quarantine/:serverName/:mediaId'),
  auth: 'admin',
  params: mediaPath,
  async handle({ params, session }, app) {
    await quarantineMedia(app, params, session.userId)
    return {}
  },
})

export const postUnquarantine = route({
  method: 'POST',
  path: v1('/media/unquarantine/:serverName/:mediaId'),
  auth: 'admin',
  params: mediaPath,
  async handle({ params }, app) {
    await unquarantineMedia(app, params)
    return {}
  },
})

export const postProtect = route({
  method: 'POST',
  path: v1('/media/protect/:mediaId'),
  auth: 'admin',
  params: ownMedia,
  async handle({ params }, app) {
    await protectMedia(app, params.mediaId, true)
    return {}
  },
})

export const postUnprotect = route({
  method: 'POST',
  path: v1('/media/unprotect/:mediaId'),
  auth: 'admin',
  params: ownMedia,
  async handle({ params }, app) {
    await protectMedia(app, params.mediaId, false)
    return {}
  },
})

const getQuarantineChanges = route({
  method: 'GET',
  path: v1('/media/quarantine_changes'),
  auth: 'admin',
  query: z.object({ from: queryInteger.default(0) }),
  async handle({ query }, app) {
    const { changes, nextBatch } = await quarantineChanges(app, { from: query.from, limit: CHANGES })
    return {
      next_batch: nextBatch,
      changes: changes.map(({ serverName, mediaId, isQuarantined }) => ({
        origin: serverName,
        media_id: mediaId,
        quarantined: isQuarantined,
      })),
    }
  },
})

export const mediaModerationEndpoints: AnyEndpoint[] = [
  getRoomMedia,
  postQuarantineRoom,
  postQuarantineUser,
  postQuarantine,
  postUnquarantine,
  postProtect,
  postUnprotect,
  getQuarantineChanges,
]

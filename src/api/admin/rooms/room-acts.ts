import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MissingParamError } from '../../../core/errors.ts'
import { isRoomAlias, type RoomAlias, type RoomId } from '../../../core/ids.ts'
import { findRoomAlias } from '../../../services/lookup/find-alias.ts'
import { joinAsAdministrator } from '../../../services/membership/join-as-administrator.ts'
import { makeRoomAdmin } from '../../../services/membership/make-room-admin.ts'
import {
  listForwardExtremities,
  mergeForwardExtremities,
} from '../../../services/rooms/administration/forward-extremities.ts'
import { administratorOf } from '../../../services/users/administration/operator.ts'
import { viaQuery, viaServers } from '../../client/rooms/via.ts'
import { roomAlias, roomId, userId } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { v1 } from '../admin-fields.ts'

const ofRoomOrAlias = z.object({ roomIdOrAlias: z.union([roomId, roomAlias], 'is neither a room id nor an alias') })

export const postAdminJoin = route({
  method: 'POST',
  path: v1('/join/:roomIdOrAlias'),
  auth: 'admin',
  params: ofRoomOrAlias,
  query: viaQuery,
  body: z.object({ user_id: userId }),
  async handle({ params, query, body, session }, app) {
    const join = { room: params.roomIdOrAlias, userId: body.user_id, by: session.userId, via: viaServers(query) }
    return { room_id: await joinAsAdministrator(app, join) }
  },
})

export const postMakeRoomAdmin = route({
  method: 'POST',
  path: v1('/rooms/:roomIdOrAlias/make_room_admin'),
  auth: 'admin',
  params: ofRoomOrAlias,
  body: z.object({ user_id: userId.optional() }),
  async handle({ params, body, session }, app) {
    const roomId = await resolve(app, params.roomIdOrAlias)
    const target = body.user_id ?? administratorOf(session)
    if (target === null) throw new MissingParamError('user_id: is needed')
    await makeRoomAdmin(app, { roomId, userId: target })
    return {}
  },
})

const extremitiesPath = v1('/rooms/:roomIdOrAlias/forward_extremities')

const getExtremities = route({
  method: 'GET',
  path: extremitiesPath,
  auth: 'admin',
  params: ofRoomOrAlias,
  async handle({ params }, app) {
    const results = await listForwardExtremities(app, await resolve(app, params.roomIdOrAlias))
    return { count: results.length, results }
  },
})

export const deleteExtremities = route({
  method: 'DELETE',
  path: extremitiesPath,
  auth: 'admin',
  params: ofRoomOrAlias,
  handle: async ({ params }, app) => ({
    deleted: await mergeForwardExtremities(app, await resolve(app, params.roomIdOrAlias)),
  }),
})

export const roomActEndpoints: readonly AnyEndpoint[] = [
  postAdminJoin,
  postMakeRoomAdmin,
  getExtremities,
  deleteExtremities,
]

async function resolve(app: App, room: RoomId | RoomAlias): Promise<RoomId> {
  return isRoomAlias(room) ? (await findRoomAlias(app, room)).room_id : room
}

import { z } from 'zod'
import { findRoomSummary } from '../../../services/lookup/find-room-summary.ts'
import { roomAlias, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { viaQuery, viaServers } from './via.ts'

const params = z.object({ roomIdOrAlias: z.union([roomId, roomAlias], 'is neither a room id nor an alias') })

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias */
export const getRoomSummary = route({
  method: 'GET',
  path: '/_matrix/client/v1/room_summary/:roomIdOrAlias',
  auth: 'optional',
  params,
  query: viaQuery,
  handle: ({ params, query, session }, app) =>
    findRoomSummary(app, { room: params.roomIdOrAlias, via: viaServers(query), userId: session?.userId }),
})

/**
 * The unstable path of MSC3266, which matrix-js-sdk uses: https://github.com/matrix-org/matrix-spec-proposals/pull/3266
 */
export const getUnstableRoomSummary = route({
  method: 'GET',
  path: [
    '/_matrix/client/unstable/im.nheko.summary/summary/:roomIdOrAlias',
    '/_matrix/client/unstable/im.nheko.summary/rooms/:roomIdOrAlias/summary',
  ],
  auth: 'optional',
  params,
  query: viaQuery,
  async handle({ params, query, session }, app) {
    const { roomIdOrAlias: room } = params
    const summary = await findRoomSummary(app, { room, via: viaServers(query), userId: session?.userId })
    return {
      ...summary,
      'im.nheko.summary.room_version': summary.room_version,
      ...(summary.encryption !== undefined && { 'im.nheko.summary.encryption': summary.encryption }),
    }
  },
})

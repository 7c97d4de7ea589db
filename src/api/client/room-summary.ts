import { z } from 'zod'
import { readRoomSummary } from '../../services/rooms/room-summary.ts'
import { roomAlias, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'

const params = z.object({ roomIdOrAlias: z.union([roomId, roomAlias], 'is neither a room id nor an alias') })

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias */
export const getRoomSummary = route({
  method: 'GET',
  path: '/_matrix/client/v1/room_summary/:roomIdOrAlias',
  auth: 'optional',
  params,
  handle: ({ params, session }, app) => readRoomSummary(app, params.roomIdOrAlias, session?.userId),
})

/** MSC3266 before it was stable, which matrix-js-sdk asks for: https://github.com/matrix-org/matrix-spec-proposals/pull/3266 */
export const getUnstableRoomSummary = route({
  method: 'GET',
  path: [
    '/_matrix/client/unstable/im.nheko.summary/summary/:roomIdOrAlias',
    '/_matrix/client/unstable/im.nheko.summary/rooms/:roomIdOrAlias/summary',
  ],
  auth: 'optional',
  params,
  async handle({ params, session }, app) {
    const summary = await readRoomSummary(app, params.roomIdOrAlias, session?.userId)
    return {
      ...summary,
      'im.nheko.summary.room_version': summary.room_version,
      ...(summary.encryption !== undefined && { 'im.nheko.summary.encryption': summary.encryption }),
    }
  },
})

import { z } from 'zod'
import { knockOnRoom } from '../../../services/membership/knock-room.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomAlias, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { contentWithReason, reason } from './reason.ts'
import { viaQuery, viaServers } from './via.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3knockroomidoralias */
export const postKnock = route({
  method: 'POST',
  path: v3('/knock/:roomIdOrAlias'),
  auth: 'user',
  rateLimit: 'join',
  params: z.object({ roomIdOrAlias: z.union([roomId, roomAlias], 'is neither a room id nor an alias') }),
  query: viaQuery,
  body: z.object({ reason }),
  async handle({ params, query, body, session }, app) {
    const content = contentWithReason(body, session)
    const request = { userId: session.userId, room: params.roomIdOrAlias, via: viaServers(query), content }
    return { room_id: await knockOnRoom(app, request) }
  },
})

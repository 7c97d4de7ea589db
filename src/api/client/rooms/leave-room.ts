import { z } from 'zod'
import { leaveRoom } from '../../../services/membership/leave-room.ts'
import { forgetRoom } from '../../../services/rooms/membership/forget.ts'
import { v3 } from '../../http/client-paths.ts'
import { roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { contentWithReason, reason } from './reason.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidleave */
export const postLeave = route({
  method: 'POST',
  path: v3('/rooms/:roomId/leave'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  params: z.object({ roomId }),
  body: z.object({ reason }),
  async handle({ params, body, session }, app) {
    const content = contentWithReason(body, session)
    await leaveRoom(app, { userId: session.userId, roomId: params.roomId, content })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget */
export const postForget = route({
  method: 'POST',
  path: v3('/rooms/:roomId/forget'),
  auth: 'user',
  suspendedUsers: true,
  params: z.object({ roomId }),
  async handle({ params, session }, app) {
    await forgetRoom(app, params.roomId, session.userId)
    return {}
  },
})

import { z } from 'zod'
import { sendState } from '../../services/rooms/send-state.ts'
import { jsonObject, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey */
export const putRoomState = route({
  method: 'PUT',
  path: [...v3('/rooms/:roomId/state/:eventType/:stateKey'), ...v3('/rooms/:roomId/state/:eventType')],
  auth: 'user',
  guests: true,
  refusesSuspended: true,
  rateLimit: 'message',
  params: z.object({ roomId, eventType: z.string(), stateKey: z.string().default('') }),
  body: jsonObject,
  async handle({ params, body, session }, app) {
    const eventId = await sendState(app, {
      roomId: params.roomId,
      sender: session.userId,
      senderIsGuest: session.isGuest,
      type: params.eventType,
      stateKey: params.stateKey,
      content: body,
    })
    return { event_id: eventId }
  },
})

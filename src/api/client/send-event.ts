import { z } from 'zod'
import { noteActivity } from '../../services/presence/note-activity.ts'
import { sendEvent } from '../../services/rooms/send-event.ts'
import { jsonObject, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid */
export const putRoomSend = route({
  method: 'PUT',
  path: v3('/rooms/:roomId/send/:eventType/:txnId'),
  auth: 'user',
  guests: true,
  refusesSuspended: true,
  rateLimit: 'message',
  params: z.object({ roomId, eventType: z.string(), txnId: z.string().max(255) }),
  body: jsonObject,
  async handle({ params, body, session }, app) {
    const eventId = await sendEvent(app, {
      roomId: params.roomId,
      sender: session.userId,
      type: params.eventType,
      content: body,
      txn: { deviceId: session.deviceId, id: params.txnId },
      isAdmin: session.isAdmin,
    })
    noteActivity(app, session.userId)
    return { event_id: eventId }
  },
})

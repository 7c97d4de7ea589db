import { z } from 'zod'
import { noteActivity } from '../../services/presence/note-activity.ts'
import { scheduleEvent } from '../../services/rooms/schedule-event.ts'
import { sendEvent } from '../../services/rooms/send-event.ts'
import { jsonObject, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'
import { delayQuery } from './delayed-events.ts'
import { timestampOf, timestampQuery } from './timestamp.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid */
export const putRoomSend = route({
  method: 'PUT',
  path: v3('/rooms/:roomId/send/:eventType/:txnId'),
  auth: 'user',
  guests: true,
  suspendedUsers: 'in the notices room',
  rateLimit: 'message',
  params: z.object({ roomId, eventType: z.string(), txnId: z.string().max(255) }),
  query: delayQuery.extend(timestampQuery.shape),
  body: jsonObject,
  async handle({ params, query, body, session }, app) {
    const { 'org.matrix.msc4140.delay': delay } = query
    if (delay !== undefined) {
      const { eventType: type, ...at } = params
      const { userId: sender, deviceId } = session
      return { delay_id: await scheduleEvent(app, { ...at, sender, deviceId, type, content: body, delay }) }
    }
    const eventId = await sendEvent(app, {
      roomId: params.roomId,
      sender: session.userId,
      type: params.eventType,
      content: body,
      txn: { deviceId: session.deviceId, id: params.txnId },
      originServerTs: timestampOf(session, query),
      isAdmin: session.isAdmin,
    })
    noteActivity(app, session.userId)
    return { event_id: eventId }
  },
})

import { z } from 'zod'
import { sendState } from '../../../services/membership/send-state.ts'
import { scheduleEvent } from '../../../services/rooms/delayed/schedule-event.ts'
import { transactionDevice } from '../../../services/users/session.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { delayQuery } from './delayed-events.ts'
import { membershipCounts } from './membership-counts.ts'
import { pretendedState } from './pretended.ts'
import { timestampOf, timestampQuery } from './timestamp.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey */
export const putRoomState = route({
  method: 'PUT',
  path: [...v3('/rooms/:roomId/state/:eventType/:stateKey'), ...v3('/rooms/:roomId/state/:eventType')],
  auth: 'user',
  guests: true,
  rateLimit: 'message',
  alsoCounts: ({ params, body }) => membershipCounts(params.eventType, body.membership),
  params: z.object({ roomId, eventType: z.string(), stateKey: z.string().default('') }),
  query: delayQuery.extend(timestampQuery.shape),
  body: jsonObject,
  pretend: (call, app) =>
    pretendedState(app, call, { membership: call.body.membership, delay: call.query['org.matrix.msc4140.delay'] }),
  async handle({ params, query, body, session }, app) {
    const { 'org.matrix.msc4140.delay': delay } = query
    if (delay !== undefined) {
      const { eventType: type, ...at } = params
      const event = { ...at, sender: session.userId, deviceId: transactionDevice(session), type, content: body, delay }
      return { delay_id: await scheduleEvent(app, event) }
    }
    const eventId = await sendState(app, {
      roomId: params.roomId,
      sender: session.userId,
      senderIsGuest: session.isGuest,
      type: params.eventType,
      stateKey: params.stateKey,
      // Of shadow-banned users, only leaves and knocks come this far; they have no reason.
      content: session.isShadowBanned ? { membership: body.membership! } : body,
      originServerTs: timestampOf(session, query),
    })
    return { event_id: eventId }
  },
})

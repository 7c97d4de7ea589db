import { z } from 'zod'
import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { noteActivity } from '../../../services/presence/note-activity.ts'
import { scheduleEvent } from '../../../services/rooms/delayed/schedule-event.ts'
import { sendEvent } from '../../../services/rooms/sending/send-event.ts'
import { transactionDevice } from '../../../services/users/session.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, opaqueText, roomId } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'
import { delayQuery } from './delayed-events.ts'
import { pretendedEvent } from './pretended.ts'
import { stickyDurationOf, stickyQuery } from './sticky-duration.ts'
import { timestampOf, timestampQuery } from './timestamp.ts'

const place = { roomId, eventType: z.string() }
const query = delayQuery.extend(timestampQuery.shape).extend(stickyQuery.shape)
const who = { auth: 'user', guests: true, suspendedUsers: 'in the notices room', rateLimit: 'message' } as const

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid */
export const putRoomSend = route({
  method: 'PUT',
  path: v3('/rooms/:roomId/send/:eventType/:txnId'),
  ...who,
  params: z.object({ ...place, txnId: opaqueText }),
  query,
  body: jsonObject,
  pretend: (call, app) => pretendedEvent(app, call, call.query),
  handle: send,
})

/** The form without a transaction ID, which bots still use: each request sends an event. */
export const postRoomSend = route({
  method: 'POST',
  path: v3('/rooms/:roomId/send/:eventType'),
  ...who,
  params: z.object(place),
  query,
  body: jsonObject,
  pretend: (call, app) => pretendedEvent(app, call, call.query),
  handle: send,
})

type Sending = {
  params: { roomId: RoomId; eventType: string; txnId?: string }
  query: z.output<typeof query>
  body: JsonObject
  session: Session
}

async function send({ params, query, body: content, session }: Sending, app: App): Promise<object> {
  const { roomId, eventType: type, txnId } = params
  const { userId: sender, isAdmin } = session
  const deviceId = transactionDevice(session)
  const { 'org.matrix.msc4140.delay': delay } = query
  const txn = txnId === undefined ? {} : { txn: { deviceId, id: txnId } }
  if (delay !== undefined) {
    const delayed = { roomId, sender, deviceId, type, content, delay, isAdmin, ...(txnId !== undefined && { txnId }) }
    return { delay_id: await scheduleEvent(app, { ...delayed, ...stickyDurationOf(query) }) }
  }
  const originServerTs = timestampOf(session, query)
  const eventId = await sendEvent(app, {
    roomId,
    sender,
    type,
    content,
    ...txn,
    originServerTs,
    ...stickyDurationOf(query),
    isAdmin,
  })
  noteActivity(app, sender)
  return { event_id: eventId }
}

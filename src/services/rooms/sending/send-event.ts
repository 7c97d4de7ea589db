import type { App } from '../../../app.ts'
import { BadJsonError, NotFoundError } from '../../../core/errors.ts'
import { type DeviceId, type EventId, isEventId, type RoomId, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { appendEvent } from '../timeline/append-event.ts'
import type { NewEvent } from '../timeline/new-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'
import { checkRelation } from './check-relation.ts'
import { redactEvent } from './redact-event.ts'

/** A message event to send. */
export type EventToSend = {
  roomId: RoomId
  sender: UserId
  type: string
  content: JsonObject
  /** The client's transaction, in which the event is sent once. Absent: each call sends an event. */
  txn?: { deviceId: DeviceId | null; id: string }
  /** As for `NewEvent`. */
  originServerTs?: number | undefined
  /** How long the event is sticky (MSC4354), in milliseconds. */
  sticky?: number | undefined
  /** Whether the sender is a server administrator, who may redact events of other local users. */
  isAdmin?: boolean
}

/**
 * Sends an event to a room, and returns its ID. Throws M_FORBIDDEN, M_BAD_JSON, M_TOO_LARGE, M_DUPLICATE_ANNOTATION.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid
 */
export function sendEvent(app: App, event: EventToSend): Promise<EventId> {
  const { roomId, sender, type, content, txn, originServerTs, sticky } = event
  if (type === 'm.room.redaction') return sendRedaction(app, event)
  const send = (stored: NewEvent['txn']) =>
    runInRoom(app, roomId, async (room) => {
      const event: NewEvent = {
        type,
        sender,
        content,
        origin_server_ts: originServerTs,
        sticky_ms: sticky,
        ...(stored && { txn: stored }),
      }
      const appended = await appendEvent(app, room, event)
      if (content['m.relates_to'] !== undefined) await checkRelation(room, appended)
      return appended.event_id
    })
  if (!txn) return send(undefined)
  return app.timeline.clientTransactions.sendOnce({ sender, deviceId: txn.deviceId, roomId, type, txnId: txn.id }, send)
}

/** Redactions may also be sent like any event: https://spec.matrix.org/v1.19/client-server-api/#redactions */
async function sendRedaction(app: App, { content, type: _, ...event }: EventToSend): Promise<EventId> {
  const { redacts, ...rest } = content
  if (typeof redacts !== 'string') throw new BadJsonError('redacts: must be the id of an event')
  if (!isEventId(redacts)) throw new NotFoundError('There is no event with the id to redact')
  return redactEvent(app, { ...event, redacts, content: rest })
}

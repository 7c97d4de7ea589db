import type { App } from '../../../app.ts'
import { SuspendedError } from '../../../core/errors.ts'
import type { DeviceId, EventId, RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { enqueueJob } from '../../../storage/jobs/jobs.ts'
import { findRoomEvent } from '../../../storage/rooms/timeline/events.ts'
import { appendEvent } from '../timeline/append-event.ts'
import type { NewEvent } from '../timeline/new-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'

export type Redaction = {
  roomId: RoomId
  sender: UserId
  /** The event to redact. */
  redacts: EventId
  /** Further keys of the redaction's content, such as `reason`. */
  content: JsonObject
  /** As for `EventToSend`. */
  txn?: { deviceId: DeviceId | null; id: string }
  originServerTs?: number | undefined
  sticky?: number | undefined
  isAdmin?: boolean
  /** Suspended users may redact only their own events. */
  isSuspended?: boolean
  /**
   * Also redacts events that relate to the event by these types; `*` means any.
   * https://github.com/matrix-org/matrix-spec-proposals/pull/3912
   */
  withRelTypes?: readonly string[]
}

/** The job that redacts related events. */
export const REDACT_RELATED = 'redact_related'

/**
 * Redacts an event, and returns the ID of the redaction. Throws M_NOT_FOUND for an unknown event, M_INVALID_PARAM for one
 * of another room, M_FORBIDDEN, M_USER_SUSPENDED, M_BAD_JSON and M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid
 */
export async function redactEvent(app: App, redaction: Redaction): Promise<EventId> {
  const { roomId, sender, redacts, content, txn, originServerTs, sticky, isAdmin = false } = redaction
  if (redaction.isSuspended) await requireOwn(app, redaction)
  const type = 'm.room.redaction'
  const send = (stored: NewEvent['txn']) =>
    runInRoom(app, roomId, async (room) => {
      const event: NewEvent = {
        type,
        sender,
        content,
        redacts,
        asAdmin: isAdmin,
        origin_server_ts: originServerTs,
        sticky_ms: sticky,
        ...(stored && { txn: stored }),
      }
      const { event_id } = await appendEvent(app, room, event)
      if (redaction.withRelTypes) room.writes.push((tx) => leaveJob(app, tx, { redaction, redactionId: event_id }))
      return event_id
    })
  if (!txn) return send(undefined)
  return app.timeline.clientTransactions.sendOnce(
    { sender, deviceId: txn.deviceId, roomId, type, txnId: txn.id, redacts },
    send,
  )
}

async function leaveJob(
  app: App,
  tx: Tx,
  { redaction, redactionId }: { redaction: Redaction; redactionId: EventId },
): Promise<void> {
  const { roomId, sender, redacts, content, withRelTypes = [], isAdmin = false, isSuspended = false } = redaction
  const payload = {
    ...{ room_id: roomId, sender, redacts, content, rel_types: [...withRelTypes] },
    ...{ is_admin: isAdmin, is_suspended: isSuspended },
  }
  await enqueueJob(tx, { kind: REDACT_RELATED, key: redactionId, payload, now: app.clock.now() })
}

/** https://spec.matrix.org/v1.19/client-server-api/#account-suspension */
async function requireOwn(app: App, { roomId, redacts, sender }: Redaction): Promise<void> {
  const target = await findRoomEvent(app.database, roomId, redacts)
  if (target?.pdu.sender !== sender) throw new SuspendedError()
}

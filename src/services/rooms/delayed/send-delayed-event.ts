import type { App } from '../../../app.ts'
import { NotFoundError, SuspendedError } from '../../../core/errors.ts'
import type { EventId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { claimDelayedEvent, finaliseDelayedEvent, markDelayedEvent } from '../../../storage/rooms/delayed-events.ts'
import type { RoomTransactions } from '../../../storage/rooms/room-transactions.ts'
import { findNoticesRoom } from '../../../storage/rooms/server-notices.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import type { DelayedEventRow } from '../../../storage/schema/delayed-events.ts'
import { findUser } from '../../../storage/users/users.ts'
import { requireNotBarred } from '../../users/account-validity.ts'
import { sendEvent } from '../sending/send-event.ts'
import { sendStateLocally } from '../sending/send-state-locally.ts'

/**
 * Sends a delayed event and marks it as sent in the same transaction, unless it was sent or cancelled in the meantime,
 * or is not due by `dueBy` (milliseconds since 1970). Returns whether it was sent. Throws what sending an event throws;
 * the event then stays scheduled.
 */
export async function sendDelayedEvent(app: App, event: DelayedEventRow, dueBy: number | null): Promise<boolean> {
  const { user_id: sender, room_id: roomId, type, state_key: stateKey } = event
  const user = await requireActive(app, event)
  const content = JSON.parse(event.content) as JsonObject
  const once = { ...app, rooms: sendingOnce(app, event, dueBy) }
  try {
    if (stateKey !== null)
      await sendStateLocally(once, { roomId, sender, senderIsGuest: user.is_guest, type, stateKey, content })
    else {
      const isAdmin = event.as_admin && user.is_admin
      await sendEvent(once, { roomId, sender, type, content, sticky: event.sticky_ms ?? undefined, isAdmin })
    }
    return true
  } catch (error) {
    if (error instanceof NoLongerScheduled) return false
    throw error
  }
}

/** Users who may not send events any more have no delayed events sent either. */
async function requireActive(app: App, { user_id: userId, room_id: roomId }: DelayedEventRow) {
  const user = await findUser(app.database, userId)
  if (!user || user.deactivated_ts !== null) throw new NotFoundError('The account does not exist any longer')
  requireNotBarred(app, user)
  if (user.suspended && (await findNoticesRoom(app.database, userId)) !== roomId) throw new SuspendedError()
  return user
}

class NoLongerScheduled extends Error {}

/**
 * Returns room transactions whose commands send this event: each first checks that it is still scheduled, and ends its
 * schedule. The room lock guarantees that only one process sends it.
 */
function sendingOnce(app: App, { delay_id: delayId }: DelayedEventRow, dueBy: number | null): RoomTransactions {
  return {
    ...app.rooms,
    run: (roomId, command) =>
      app.rooms.run(roomId, async (room) => {
        // An earlier command in the same transaction may have sent it, which is not written yet.
        const isSent = room.events.some((event) => event.delay_id === delayId)
        if (isSent || !(await claimDelayedEvent(room.db, { delayId, dueBy }))) throw new NoLongerScheduled()
        const result = await command(room)
        if (typeof result === 'string') noteSent(app, room, { delayId, eventId: result as unknown as EventId })
        return result
      }),
  }
}

/** The event may be an older one: unchanged state is not sent again. */
function noteSent(app: App, room: LockedRoom, { delayId, eventId }: { delayId: string; eventId: EventId }): void {
  const now = app.clock.now()
  room.events = room.events.map((event) => (event.event_id === eventId ? { ...event, delay_id: delayId } : event))
  room.writes.push(async (tx) => {
    const sent = room.events.find((event) => event.event_id === eventId)
    if (sent) await markDelayedEvent(tx, sent, delayId)
    await finaliseDelayedEvent(tx, { delayId, now, eventId })
  })
}

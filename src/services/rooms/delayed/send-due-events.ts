import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import { finaliseDelayedEvent, leaseDueEvents, postponeDelayedEvent } from '../../../storage/rooms/delayed-events.ts'
import type { DelayedEventRow } from '../../../storage/schema/delayed-events.ts'
import { sendDelayedEvent } from './send-delayed-event.ts'

const AT_ONCE = 200
/** The lease of a process that sends. After a crash, other processes continue once it expires. */
const LEASE_MS = 10_000
const RETRY_MS = 5000

/** Sends the due delayed events that no other process has leased, in each room by due time. */
export async function sendDueEvents(app: App): Promise<void> {
  for (;;) {
    if (app.stopping.aborted) return
    const now = app.clock.now()
    const due = await app.database.write((tx) => leaseDueEvents(tx, { now, until: now + LEASE_MS, limit: AT_ONCE }))
    if (due.length === 0) return
    await Promise.all([...byRoom(due).values()].map((events) => sendInOrder(app, events)))
  }
}

function byRoom(events: readonly DelayedEventRow[]): Map<RoomId, DelayedEventRow[]> {
  const rooms = new Map<RoomId, DelayedEventRow[]>()
  for (const event of events) rooms.set(event.room_id, [...(rooms.get(event.room_id) ?? []), event])
  return rooms
}

async function sendInOrder(app: App, events: readonly DelayedEventRow[]): Promise<void> {
  for (const event of events) await sendOrFail(app, event)
}

/** A refused event has failed for good; after internal errors it is retried. */
async function sendOrFail(app: App, event: DelayedEventRow): Promise<void> {
  const { delay_id: delayId } = event
  try {
    await sendDelayedEvent(app, event, app.clock.now())
  } catch (error) {
    const now = app.clock.now()
    const isFinal = error instanceof MatrixError && error.status < 500
    if (!isFinal) app.logger.warn({ err: error }, 'sending of delayed event failed, will retry')
    await app.database.write(async (tx) => {
      if (isFinal) await finaliseDelayedEvent(tx, { delayId, now, error: error.toJSON() })
      else await postponeDelayedEvent(tx, delayId, now + RETRY_MS)
    })
  }
}

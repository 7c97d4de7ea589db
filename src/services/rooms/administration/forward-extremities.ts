import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError } from '../../../core/errors.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'
import { requireRoom } from './describe-room.ts'
import { localUsersByPower } from './local-users-by-power.ts'

/** The ends of a room's timeline, in the form of Synapse's admin API. */
export type ForwardExtremity = { event_id: EventId; state_group: number | null; depth: number; received_ts: number }

/** An event that has no other purpose than to follow others. Synapse sends the same. */
export const DUMMY = 'org.matrix.dummy_event'
/** Each merges up to 20 ends, and a room has at most 100. */
const MAX_DUMMIES = 10

/** Returns the events of a room that no event follows yet. Throws M_NOT_FOUND. */
export async function listForwardExtremities(app: Pick<App, 'database'>, roomId: RoomId): Promise<ForwardExtremity[]> {
  const { forward_extremities: ids } = await requireRoom(app, roomId)
  const events = await loadEventsById(app.database, ids)
  return events.map(({ event_id, state_after, pdu }) => ({
    ...{ event_id, state_group: state_after, depth: pdu.depth, received_ts: pdu.origin_server_ts },
  }))
}

/**
 * Merges the forward extremities of a room into one, by events that follow all of them, so that no state is lost.
 * Returns how many ends that were. Throws M_NOT_FOUND, and M_INVALID_PARAM if no local user may send such an event.
 */
export async function mergeForwardExtremities(app: App, roomId: RoomId): Promise<number> {
  const { forward_extremities: before } = await requireRoom(app, roomId)
  for (let sent = 0; sent < MAX_DUMMIES; sent++) {
    const { forward_extremities: now } = await requireRoom(app, roomId)
    if (now.length <= 1) break
    await sendDummy(app, roomId)
  }
  const { forward_extremities: after } = await requireRoom(app, roomId)
  return Math.max(0, before.length - after.length)
}

async function sendDummy(app: App, roomId: RoomId): Promise<void> {
  for (const { userId } of await localUsersByPower(app, roomId)) {
    try {
      await runInRoom(app, roomId, (room) => appendEvent(app, room, { type: DUMMY, sender: userId, content: {} }))
      return
    } catch (error) {
      if (!(error instanceof MatrixError) || error.status !== 403) throw error
    }
  }
  throw new InvalidParamError('No local user may send an event that merges the forward extremities')
}

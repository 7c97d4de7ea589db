import type { App } from '../../app.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import type { SyncedRooms } from './sync-response.ts'
import { type SyncViewer, syncRooms } from './sync-room.ts'
import type { RoomSpan } from './sync-room-content.ts'
import { unwantedInviters } from './unwanted-inviters.ts'

/** How a user came to be outside a room. */
export type Departure = {
  /** The user's newest member event there: a leave or a ban. */
  last: StoredEvent
  /** The event that ended the user's last time in the room; undefined when there was none that the client has not heard of. */
  ended: StoredEvent | undefined
  /** What the client has of the room: see RoomSpan. */
  since: number | undefined
  after: number
}

/**
 * Rooms that the user is no longer in: what happened until the user went, and what became of the membership after that. Of rooms that the user was
 * only invited to, knocked at, or had left before, there is nothing but the newest member event to tell.
 */
export async function departedRooms(
  app: Pick<App, 'database' | 'clock'>,
  viewer: SyncViewer,
  departures: readonly Departure[],
): Promise<SyncedRooms['leave']> {
  return syncRooms(app, viewer, (await toldOf(app, viewer, departures)).map(spanOf))
}

/** An unwanted invite is not told, nor is its end. Who was in the room has to know, whoever ended it. */
async function toldOf(
  app: Pick<App, 'database'>,
  viewer: SyncViewer,
  departures: readonly Departure[],
): Promise<readonly Departure[]> {
  if (departures.every(({ ended }) => ended !== undefined)) return departures
  const isUnwanted = await unwantedInviters(app, viewer)
  return departures.filter(({ last, ended }) => ended !== undefined || !isUnwanted(last.pdu.sender))
}

function spanOf({ last, ended, since, after }: Departure): RoomSpan {
  const until = { roomId: last.room_id, last: last.event_order ?? 0, summary: undefined }
  if (!ended) {
    return { ...until, since: undefined, end: 0, after: until.last - 1, newest: [last], hidesState: true }
  }
  const end = { end: ended.state_after ?? 0, endOrder: ended.event_order ?? 0 }
  return { ...until, ...end, since, after, newest: ended === last ? [last] : [] }
}

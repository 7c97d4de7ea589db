import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { unwantedAmong } from '../sections/hidden-invites.ts'
import type { OwnChange } from '../sections/room-changes.ts'
import { type SyncViewer, syncRooms } from '../sections/sync-room.ts'
import type { RoomSpan } from '../sections/sync-room-content.ts'
import type { SyncedRooms } from './sync-response.ts'

/** How a user came to be outside a room. */
export type Departure = {
  roomId: RoomId
  /** The newest change of the user's membership there, to leave or ban. */
  last: OwnChange
  /**
   * The change that ended the user's last time in the room; undefined when there was none that the client has not heard
   * of.
   */
  ended: OwnChange | undefined
  /** What the client has of the room: see RoomSpan. */
  since: number | undefined
  after: number
}

/**
 * Rooms that the user is no longer in: what happened until the user went, and what became of the membership after that.
 * Of rooms that the user was only invited to, knocked at, or had left before, there is nothing but the newest member
 * event to tell.
 */
export async function departedRooms(
  app: Pick<App, 'database' | 'clock' | 'stream' | 'reading'>,
  viewer: SyncViewer,
  departures: readonly Departure[],
): Promise<SyncedRooms['leave']> {
  return syncRooms(app, viewer, (await toldOf(app, viewer, departures)).map(spanOf))
}

/** An unwanted invite is not told, nor is its end. Who was in the room has to know, whoever ended it. */
async function toldOf(
  app: Pick<App, 'database' | 'stream'>,
  { userId }: SyncViewer,
  departures: readonly Departure[],
): Promise<readonly Departure[]> {
  const outside = departures.flatMap(({ ended, last }) => (ended ? [] : (last.event ?? [])))
  const hidden = await unwantedAmong(app, userId, outside)
  return departures.filter(({ roomId, ended }) => ended !== undefined || !hidden.has(roomId))
}

function spanOf({ roomId, last, ended, since, after }: Departure): RoomSpan {
  const until = { roomId, last: last.order ?? 0, summary: undefined, own: last.event }
  const newest = last.event ? [last.event] : []
  if (!ended) return { ...until, since: undefined, end: 0, after: until.last - 1, newest, hidesState: true }
  const end = { end: ended.after ?? 0, endOrder: ended.order ?? 0 }
  // Where forks were resolved, the event that counts now may be any.
  const isNewest = ended.event === last.event && last.event?.event_order === last.order
  return { ...until, ...end, since, after, newest: isNewest ? newest : [] }
}

import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { type SyncViewer, syncRooms } from '../sections/sync-room.ts'
import type { RoomSpan } from '../sections/sync-room-content.ts'
import type { OwnChange } from './room-changes.ts'
import type { SyncedRooms } from './sync-response.ts'

/** A user's departure from a room. */
export type Departure = {
  roomId: RoomId
  /** The newest change of the user's membership there, to leave or ban. */
  last: OwnChange
  /** The change that ended the user's last joined period; undefined if the client knows it already. */
  ended: OwnChange | undefined
  /** The client's knowledge of the room: see RoomSpan. */
  since: number | undefined
  after: number
}

/**
 * Returns rooms that the user is no longer in: events up to the leave, and later membership changes. If the user was
 * only invited, knocked, or had left before, only the newest member event.
 */
export async function departedRooms(
  app: Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'reading' | 'sync'>,
  viewer: SyncViewer,
  departures: readonly Departure[],
): Promise<SyncedRooms['leave']> {
  return syncRooms(app, viewer, (await withoutHiddenInvites(app, viewer, departures)).map(spanOf))
}

/** Drops unwanted invites and their ends. The end of a joined membership is always sent. */
async function withoutHiddenInvites(
  app: Pick<App, 'database' | 'stream' | 'sync'>,
  { userId }: SyncViewer,
  departures: readonly Departure[],
): Promise<readonly Departure[]> {
  const outside = departures.flatMap(({ ended, last }) => (ended ? [] : (last.event ?? [])))
  const hidden = await app.sync.invites.unwantedAmong(userId, outside)
  return departures.filter(({ roomId, ended }) => ended !== undefined || !hidden.has(roomId))
}

function spanOf({ roomId, last, ended, since, after }: Departure): RoomSpan {
  const until = { roomId, last: last.order ?? 0, summary: undefined, own: last.event }
  const newest = last.event ? [last.event] : []
  if (!ended) return { ...until, since: undefined, end: 0, after: until.last - 1, newest, hidesState: true }
  const end = { end: ended.after ?? 0, endOrder: ended.order ?? 0 }
  // After state resolution, any event may be the current one.
  const isNewest = ended.event === last.event && last.event?.event_order === last.order
  return { ...until, ...end, since, after, newest: isNewest ? newest : [] }
}

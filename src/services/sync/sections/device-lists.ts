import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { roomMateChanges } from './room-mates.ts'

/**
 * Users whose keys a client has to query again, and users it no longer needs to track.
 * https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync
 */
export type DeviceLists = { changed: UserId[]; left: UserId[] }

/**
 * Computes the device list changes for `userId` from stream rows up to `to`. `rows`: all that concern the user,
 * including rooms left since; `joined`: the user's rooms at their end. `changed` has users who share a room with the
 * user now and whose keys changed, or who shared none before (or not continuously, since changes in between were
 * missed). `left` has users who shared a room and now share none.
 */
export async function deviceListChanges(
  app: Pick<App, 'database'>,
  userId: UserId,
  { rows, joined, to }: { rows: readonly StreamRow[]; joined: ReadonlySet<RoomId>; to: number },
): Promise<DeviceLists> {
  const reported = reportedUsers(rows, userId)
  const completed = completedRooms(rows, joined)
  const mates = await roomMateChanges(app, userId, { rows, joined, to, others: [...reported.others], completed })
  // New room mates get the user's device changes from now on, so the user's own devices must know the published state.
  const own = mates.hasEntered ? [...reported.own, userId] : reported.own
  return { changed: [...new Set([...own, ...mates.present, ...mates.met])], left: [...mates.parted] }
}

/** Returns the users in rows of kind 'device_list'. `own`: the user, and users whose keys the user has signed. */
function reportedUsers(rows: readonly StreamRow[], userId: UserId): { own: Set<UserId>; others: Set<UserId> } {
  const own = new Set<UserId>()
  const others = new Set<UserId>()
  for (const { kind, user_id, detail } of rows) {
    if (kind !== 'device_list' || user_id === null || detail?.startsWith('keyless ')) continue
    if (user_id !== userId) others.add(user_id)
    else own.add(detail?.startsWith('signatures ') ? (detail.slice('signatures '.length) as UserId) : userId)
  }
  return { own, others }
}

/** Returns encrypted rooms that finished a resync. */
function completedRooms(rows: readonly StreamRow[], joined: ReadonlySet<RoomId>): RoomId[] {
  return rows.flatMap(({ kind, room_id, detail }) =>
    kind === 'room_complete' && detail === 'encrypted' && room_id !== null && joined.has(room_id) ? room_id : [],
  )
}

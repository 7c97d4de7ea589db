import type { App } from '../../app.ts'
import { findMembership } from '../../storage/rooms/membership/room-memberships.ts'
import { isRoomHere } from '../../storage/rooms/membership/room-servers.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import { type Leaving, leaveRemotely } from '../federation/joining/leave-remotely.ts'
import { leaveLocally } from '../rooms/membership/leave-locally.ts'

/**
 * Leaves a room, rejects an invite, or rescinds a knock, locally or remotely. Does nothing for a user who has left
 * already. If other servers refuse or cannot be reached, the room is left locally only. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
 */
export async function leaveRoom(app: App, leaving: Leaving): Promise<void> {
  const { roomId, userId } = leaving
  const membership = await findMembership(app.database, roomId, userId)
  const isOutside = membership?.membership === 'invite' || membership?.membership === 'knock'
  const isHere = await isRoomHere(app.database, roomId)
  if (isHere || !membership) return leaveLocally(app, leaving)
  if (membership.membership === 'leave') return
  const last = (await loadEvents(app.database, [membership.event_nid])).get(membership.event_nid)
  if (!isOutside || !last) return leaveLocally(app, leaving)
  await leaveRemotely(app, leaving, last)
}

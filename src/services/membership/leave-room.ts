import type { App } from '../../app.ts'
import { loadEvents } from '../../storage/events.ts'
import { findMembership } from '../../storage/room-memberships.ts'
import { isRoomHere } from '../../storage/room-servers.ts'
import { leaveRoom as leaveOwnRoom } from '../rooms/leave.ts'
import { type Leaving, leaveRemotely } from './leave-remotely.ts'

/**
 * Leaves a room, rejects an invite, or takes back a knock, wherever the room is; does nothing for who has left already. What other servers say to
 * that, or that they cannot be reached, keeps nobody: then the room is left as far as this server is concerned. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
 */
export async function leaveRoom(app: App, leaving: Leaving): Promise<void> {
  const { roomId, userId } = leaving
  const membership = await findMembership(app.database, roomId, userId)
  const isOutside = membership?.membership === 'invite' || membership?.membership === 'knock'
  const isHere = await isRoomHere(app.database, roomId)
  if (isHere || !membership) return leaveOwnRoom(app, leaving)
  if (membership.membership === 'leave') return
  const last = (await loadEvents(app.database, [membership.event_nid])).get(membership.event_nid)
  if (!isOutside || !last) return leaveOwnRoom(app, leaving)
  await leaveRemotely(app, leaving, last)
}

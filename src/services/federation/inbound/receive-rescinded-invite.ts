import type { App } from '../../../app.ts'
import { domainOf, isUserId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { storeOutOfBandMember } from '../requests/store-out-of-band-member.ts'

/**
 * Handles the event that rescinds an invite of a local user, or rejects a knock, in a room that this server is not in.
 * Returns whether it is one. Power levels are unknown there: an invite may be rescinded only by its sender, and a knock
 * rejected by an event that references it.
 * https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
 */
export async function receiveRescindedInvite(
  app: Pick<App, 'config' | 'database' | 'logger' | 'takeNids' | 'serverName'>,
  version: RoomVersion,
  event: Event,
): Promise<boolean> {
  const { type, state_key: target, sender, content } = event.pdu
  const isFarewell = type === 'm.room.member' && (content.membership === 'leave' || content.membership === 'ban')
  if (!isFarewell || target === undefined || target === sender) return false
  if (!isUserId(target) || domainOf(target) !== app.serverName) return false
  const current = await findMembership(app.database, event.room_id, target)
  if (current?.membership !== 'invite' && current?.membership !== 'knock') return false
  const member = (await loadEvents(app.database, [current.event_nid])).get(current.event_nid)
  if (!member || !event.auth_event_ids.includes(member.event_id)) return false
  if (current.membership === 'invite' && member.pdu.sender !== sender) return false
  await storeOutOfBandMember(app, event, { version })
  return true
}

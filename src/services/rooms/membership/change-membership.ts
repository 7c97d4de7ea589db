import { isDeepStrictEqual } from 'node:util'
import type { App } from '../../../app.ts'
import type { MatrixError } from '../../../core/errors.ts'
import { type EventId, type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import { loadProfile, type Profile } from '../../../storage/users/profiles.ts'
import { awaitFullState } from '../access/await-full-state.ts'
import { requireGuestAccess } from '../access/guest-access.ts'
import { requireInvitable, screenInvite } from '../access/invitable.ts'
import { memberContent } from '../access/member-content.ts'
import { requireRejectable } from '../access/notices-user.ts'
import { authoriserOfJoin } from '../access/restricted-join.ts'
import { membershipIn, readMember, requireJoined } from '../access/room-member.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'

/** A membership change by a user, of their own membership or another's. */
export type MembershipChange = {
  sender: UserId
  /** Guests may join only some rooms. */
  senderIsGuest?: boolean
  target: UserId
  membership: Membership
  /** Further keys of the event's content, such as `reason`. */
  content?: JsonObject
  /** As for `NewEvent`. */
  originServerTs?: number | undefined
  /** Default: any. Throws `otherwise` if the current membership is another; undefined means no membership event. */
  from?: { memberships: readonly (Membership | undefined)[]; otherwise: MatrixError }
  /** Does nothing if the membership is already the wanted one, whatever `content` is. */
  idempotent?: boolean
}

/**
 * Changes a membership in a room of this server, and returns the ID of the member event: the existing one if nothing
 * would change. Throws M_FORBIDDEN if the authorization rules reject it or the room is unknown, M_INVITE_BLOCKED,
 * M_GUEST_ACCESS_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#room-membership
 */
export async function changeMembership(app: App, roomId: RoomId, change: MembershipChange): Promise<EventId> {
  if (change.membership === 'invite') {
    await requireInvitable(app, { inviter: change.sender, roomId, userIds: [change.target] })
    await screenInvite(app, { roomId, inviter: change.sender, invitee: change.target })
  }
  // The target's membership is certain only with full state.
  if (change.sender !== change.target) await awaitFullState(app, roomId)
  return runInRoom(app, roomId, (room) => changeMembershipIn(app, room, change))
}

async function changeMembershipIn(app: App, room: LockedRoom, change: MembershipChange): Promise<EventId> {
  const current = await readMember(room, change.target)
  const before = membershipIn(current)
  if (change.sender !== change.target) await requireJoined(room, change.sender)
  if (change.from && !change.from.memberships.includes(before)) throw change.from.otherwise
  if (change.idempotent && current && before === change.membership) return current.event_id
  const isRejecting = before === 'invite' && change.membership === 'leave' && change.sender === change.target
  if (isRejecting) await requireRejectable(app, room, current!)
  const isJoining = change.membership === 'join' && before !== 'join'
  if (isJoining && change.senderIsGuest) await requireGuestAccess(room)

  const content = memberContent(change.membership, change.content ?? {}, await profileFor(app, room, change))
  const needsAuthoriser = isJoining && before !== 'invite' && before !== 'ban'
  const authoriser = needsAuthoriser ? await authoriserOfJoin(room, change.target, app.serverName) : undefined
  if (authoriser !== undefined) content.join_authorised_via_users_server = authoriser
  if (current?.pdu.sender === change.sender && isDeepStrictEqual(current.pdu.content, content)) return current.event_id
  const event = await appendEvent(app, room, {
    type: 'm.room.member',
    state_key: change.target,
    sender: change.sender,
    content,
    origin_server_ts: change.originServerTs,
  })
  return event.event_id
}

/** Only local users have profiles here; remote servers fill in those of their users. */
async function profileFor(app: App, room: LockedRoom, { target, membership }: MembershipChange): Promise<Profile> {
  if (membership === 'leave' || membership === 'ban' || serverNameOf(target) !== app.serverName) return {}
  return loadProfile(room.db, target)
}

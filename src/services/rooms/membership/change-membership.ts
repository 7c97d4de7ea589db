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
import { requireInvitable } from '../access/invitable.ts'
import { memberContent } from '../access/member-content.ts'
import { requireRejectable } from '../access/notices-user.ts'
import { authoriserOfJoin } from '../access/restricted-join.ts'
import { membershipIn, readMember, requireJoined } from '../access/room-member.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'

/** A user's wish to change a membership: their own or another's. */
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
  /** Default: any. Throws `otherwise` when the membership is another; undefined: never heard of in the room. */
  from?: { memberships: readonly (Membership | undefined)[]; otherwise: MatrixError }
  /** The membership is already what is wanted: nothing happens, whatever `content` says. */
  idempotent?: boolean
}

/**
 * Changes a membership of a room that this server has; returns the id of the member event, which is the existing one
 * when nothing would change. Throws M_FORBIDDEN when the authorisation rules refuse it or the room is not known,
 * M_INVITE_BLOCKED, M_GUEST_ACCESS_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#room-membership
 */
export async function changeMembership(app: App, roomId: RoomId, change: MembershipChange): Promise<EventId> {
  if (change.membership === 'invite') await requireInvitable(app, change.sender, [change.target])
  // What others are to the room is known only with all its members.
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

/** Only this server's users have profiles here; what others send to rooms about themselves is theirs to fill. */
async function profileFor(app: App, room: LockedRoom, { target, membership }: MembershipChange): Promise<Profile> {
  if (membership === 'leave' || membership === 'ban' || serverNameOf(target) !== app.serverName) return {}
  return loadProfile(room.db, target)
}

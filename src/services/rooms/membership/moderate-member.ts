import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { changeMembership } from './change-membership.ts'

/** A change of another user's membership. */
export type Moderation = {
  roomId: RoomId
  sender: UserId
  target: UserId
  /** Further keys of the member event: `reason`. */
  content: JsonObject
}

/**
 * Invites a user; an invited user may be invited again. Throws M_FORBIDDEN, M_INVITE_BLOCKED.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite
 */
export async function invite(app: App, { roomId, ...change }: Moderation): Promise<void> {
  await changeMembership(app, roomId, { ...change, membership: 'invite' })
}

/**
 * Removes a user who is joined, is invited, or knocks. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidkick
 */
export async function kick(app: App, { roomId, ...change }: Moderation): Promise<void> {
  const otherwise = new ForbiddenError('The user is not in the room')
  const from = { memberships: ['join', 'invite', 'knock'] as const, otherwise }
  await changeMembership(app, roomId, { ...change, membership: 'leave', from })
}

/**
 * Bans a user, whether or not they are in the room. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidban
 */
export async function ban(app: App, { roomId, ...change }: Moderation): Promise<void> {
  await changeMembership(app, roomId, { ...change, membership: 'ban' })
}

/**
 * Unbans a user. Throws M_BAD_STATE if they are not banned, and M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidunban
 */
export async function unban(app: App, { roomId, ...change }: Moderation): Promise<void> {
  const otherwise = new MatrixError(403, 'M_BAD_STATE', 'That user is not banned')
  await changeMembership(app, roomId, { ...change, membership: 'leave', from: { memberships: ['ban'], otherwise } })
}

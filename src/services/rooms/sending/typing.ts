import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'
import { startTyping, stopTyping } from '../../../storage/rooms/typing.ts'

type Typing = Pick<App, 'database' | 'clock'>
type TypingChange = {
  roomId: RoomId
  userId: UserId
  /** Absent: unknown. */
  deviceId?: DeviceId | null
  typing: boolean
  timeout?: number | undefined
}

const DEFAULT_TIMEOUT = 30_000
const MIN_TIMEOUT = 1000
const MAX_TIMEOUT = 120_000

/**
 * Sets that a local user is typing in a room for the next `timeout` milliseconds, or has stopped. Throws M_FORBIDDEN
 * for a user who is not in the room.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid
 */
export async function setTyping(app: Typing, typing: TypingChange): Promise<void> {
  const membership = await findMembership(app.database, typing.roomId, typing.userId)
  if (membership?.membership !== 'join') throw new ForbiddenError('You are not in this room')
  await noteTyping(app, typing)
}

/** As `setTyping`, for any user and without the membership check. */
export async function noteTyping(
  app: Typing,
  { roomId, userId, deviceId = null, typing, timeout }: TypingChange,
): Promise<void> {
  if (!typing) return app.database.writeLazily((tx) => stopTyping(tx, roomId, userId))
  const now = app.clock.now()
  const expiresTs = now + Math.min(Math.max(timeout || DEFAULT_TIMEOUT, MIN_TIMEOUT), MAX_TIMEOUT)
  await app.database.writeLazily((tx) => startTyping(tx, { roomId, userId, deviceId, now, expiresTs }))
}

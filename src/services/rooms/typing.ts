import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { findMembership } from '../../storage/room-memberships.ts'
import { expireTyping, nextTypingExpiry, startTyping, stopTyping } from '../../storage/typing.ts'

type Typing = Pick<App, 'database' | 'clock' | 'logger' | 'stopping'>
type TypingChange = { roomId: RoomId; userId: UserId; typing: boolean; timeout?: number | undefined }

const DEFAULT_TIMEOUT = 30_000
const MIN_TIMEOUT = 1000
const MAX_TIMEOUT = 120_000

/**
 * Notes that one of our users types in a room for the next `timeout` milliseconds, or has stopped. Throws M_FORBIDDEN for who is not in
 * the room. https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid
 */
export async function setTyping(app: Typing, typing: TypingChange): Promise<void> {
  const membership = await findMembership(app.database, typing.roomId, typing.userId)
  if (membership?.membership !== 'join') throw new ForbiddenError('You are not in this room')
  await noteTyping(app, typing)
}

/** As `setTyping`, of whoever it is. */
export async function noteTyping(app: Typing, { roomId, userId, ...typing }: TypingChange): Promise<void> {
  if (!typing.typing) return app.database.writeLazily((tx) => stopTyping(tx, roomId, userId))
  const now = app.clock.now()
  const timeout = Math.min(Math.max(typing.timeout || DEFAULT_TIMEOUT, MIN_TIMEOUT), MAX_TIMEOUT)
  await app.database.writeLazily((tx) => startTyping(tx, { roomId, userId, now, expiresTs: now + timeout }))
  wakeAt(app, now + timeout)
}

/** Ends typing that nobody has renewed, in all rooms, and comes back when the next is due. */
export async function endExpiredTyping(app: Typing): Promise<void> {
  await app.database.writeLazily((tx) => expireTyping(tx, app.clock.now()))
  const next = await nextTypingExpiry(app.database)
  if (next !== undefined) wakeAt(app, next)
}

/** The one timer of each database in this process; rows of other processes are ended by whoever looks first. */
const timers = new WeakMap<App['database'], { at: number; timer: NodeJS.Timeout }>()

function wakeAt(app: Typing, at: number): void {
  const waiting = timers.get(app.database)
  if (app.stopping.aborted || (waiting && waiting.at <= at)) return
  clearTimeout(waiting?.timer)
  const timer = setTimeout(() => wake(app), Math.max(at - app.clock.now(), 0) + 1)
  timer.unref()
  timers.set(app.database, { at, timer })
}

function wake(app: Typing): void {
  timers.delete(app.database)
  if (app.stopping.aborted) return
  endExpiredTyping(app).catch((error) => app.logger.warn({ err: error }, 'ending expired typing failed'))
}

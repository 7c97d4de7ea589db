import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import type { EventId, UserId } from '../../../core/ids.ts'
import { requireCount } from '../../../core/limits.ts'
import { relationOf } from '../../../core/rooms/relations.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import {
  countThreadSubscriptions,
  findThreadSubscription,
  storeThreadSubscription,
  type ThreadKey,
} from '../../../storage/rooms/thread-subscriptions.ts'
import { lockUser } from '../../../storage/users/users.ts'
import { findVisibleEvent } from '../reading/read-event.ts'

type Capabilities = Pick<App, 'database' | 'clock' | 'config'>
export type ThreadCommand = ThreadKey & { userId: UserId }

/**
 * Returns a user's subscription to a thread. Throws M_NOT_FOUND if there is none, or the user may not see the thread.
 */
export async function readThreadSubscription(
  app: Capabilities,
  command: ThreadCommand,
): Promise<{ automatic: boolean }> {
  await findVisibleEvent(app, { ...command, eventId: command.threadId })
  const subscription = await findThreadSubscription(app.database, command.userId, command)
  if (!subscription?.subscribed) throw new NotFoundError('You are not subscribed to this thread')
  return { automatic: subscription.automatic }
}

/**
 * Subscribes a user to a thread; `cause`: the event in the thread that made the client subscribe automatically.
 * Explicit decisions take precedence: an automatic subscription does not replace a manual one, nor an unsubscription
 * after its cause. Throws M_NOT_FOUND, M_TOO_LARGE, IO.ELEMENT.MSC4306.M_NOT_IN_THREAD and 409
 * IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4306
 */
export async function subscribeToThread(
  app: Capabilities,
  { cause, ...command }: ThreadCommand & { cause?: EventId | undefined },
): Promise<void> {
  const { userId, threadId } = command
  await findVisibleEvent(app, { ...command, eventId: threadId })
  const causeOrder = cause === undefined ? undefined : await orderOfCause(app, { ...command, cause })
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const known = await findThreadSubscription(tx, userId, command)
    const automatic = causeOrder !== undefined
    if (known?.subscribed && (automatic || !known.automatic)) return
    if (automatic && !known?.subscribed && causeOrder <= (known?.ended_order ?? 0)) throw conflict()
    if (!known) await requireRoomForOneMore(app, tx, userId)
    await storeThreadSubscription(tx, userId, { ...command, subscribed: true, automatic })
  })
}

/** Unsubscribes a user from a thread, if subscribed. Throws M_NOT_FOUND for threads that the user may not see. */
export async function unsubscribeFromThread(app: Capabilities, command: ThreadCommand): Promise<void> {
  const { userId, threadId } = command
  await findVisibleEvent(app, { ...command, eventId: threadId })
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const known = await findThreadSubscription(tx, userId, command)
    if (known && !known.subscribed) return
    if (!known) await requireRoomForOneMore(app, tx, userId)
    await storeThreadSubscription(tx, userId, { ...command, subscribed: false, automatic: false })
  })
}

async function requireRoomForOneMore({ config }: Capabilities, tx: Tx, userId: UserId): Promise<void> {
  requireCount(config.limits, 'thread_subscriptions', 1 + (await countThreadSubscriptions(tx, userId)))
}

async function orderOfCause(app: Capabilities, command: ThreadCommand & { cause: EventId }): Promise<number> {
  const { event } = await findVisibleEvent(app, { ...command, eventId: command.cause })
  const relation = relationOf(event.pdu.content)
  if (relation?.rel_type !== 'm.thread' || relation.event_id !== command.threadId) {
    throw new MatrixError(400, 'IO.ELEMENT.MSC4306.M_NOT_IN_THREAD', 'automatic: must be an event in the thread')
  }
  return event.event_order ?? 0
}

function conflict(): MatrixError {
  const message = 'The user unsubscribed from the thread after this event'
  return new MatrixError(409, 'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION', message)
}

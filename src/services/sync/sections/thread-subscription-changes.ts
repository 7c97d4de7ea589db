import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { loadThreadSubscriptionChanges } from '../../../storage/rooms/thread-subscriptions.ts'

/** `rest`: the position up to which there are others; undefined: none. */
export type ThreadSubscriptionChanges = { changes: Changes; rest: number | undefined }

type Changes = {
  subscribed?: Record<RoomId, Record<string, { automatic: boolean; bump_stamp: number }>>
  unsubscribed?: Record<RoomId, Record<string, { bump_stamp: number }>>
}

/**
 * Returns the changes of a user's thread subscriptions after `from` and up to `to` (stream positions), in the format of
 * MSC4308. Of more than `limit`, returns the latest, and `rest`: the position up to which there are others.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4308
 */
export async function threadSubscriptionChanges(
  app: Pick<App, 'database'>,
  userId: UserId,
  { limit, ...range }: { from: number; to: number; limit: number },
): Promise<ThreadSubscriptionChanges> {
  const rows = await loadThreadSubscriptionChanges(app.database, userId, { ...range, limit: limit + 1 })
  const page = rows.slice(0, limit)
  const changes: Changes = {}
  for (const { room_id, thread_id, subscribed, automatic, position: bump_stamp } of page) {
    if (subscribed) {
      changes.subscribed ??= {}
      changes.subscribed[room_id] = { ...changes.subscribed[room_id], [thread_id]: { automatic, bump_stamp } }
    } else {
      changes.unsubscribed ??= {}
      changes.unsubscribed[room_id] = { ...changes.unsubscribed[room_id], [thread_id]: { bump_stamp } }
    }
  }
  return { changes, rest: rows.length > limit ? page.at(-1)!.position - 1 : undefined }
}

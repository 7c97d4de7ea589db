import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { loadLastOrdersOf } from '../../../storage/rooms/timeline/last-orders.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type NewestEvents, unreadCounts } from '../../push/unread-counts.ts'
import type { UnreadCount } from '../../push/unread-room.ts'
import { receiptOwner } from './sync-ephemeral.ts'
import type { SyncViewer } from './sync-room.ts'

/** A joined room's counts in the format of /sync. */
export type SyncedUnread = {
  unread_notifications: UnreadCount
  unread_thread_notifications?: Record<string, UnreadCount>
}

/**
 * Returns the unread counts of some joined rooms, given their newest loaded events: per thread if the filter requests
 * that, otherwise the sum.
 * https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications
 */
export async function syncUnread(
  app: Pick<App, 'config' | 'database' | 'stream' | 'push'>,
  { userId, filter }: SyncViewer,
  rooms: ReadonlyMap<RoomId, readonly StoredEvent[]>,
): Promise<Map<RoomId, SyncedUnread>> {
  // The cache may be older than the newest event, which another process has announced.
  const quiet = [...rooms].flatMap(([roomId, events]) => (events.length === 0 ? roomId : []))
  const lastOrders = await loadLastOrdersOf(app.database, quiet)
  const newest = [...rooms].map(([roomId, events]): [RoomId, NewestEvents] => [
    roomId,
    { last: events.at(-1)?.event_order ?? lastOrders.get(roomId) ?? 0, events },
  ])
  const counts = await unreadCounts(app, userId, new Map(newest))
  const tell = filter.unreadThreadNotifications ? threadsApart : together
  return new Map([...counts].map(([roomId, ofRoom]) => [roomId, tell(ofRoom)]))
}

function together(counts: ReadonlyMap<string, UnreadCount>): SyncedUnread {
  const sum = { notification_count: 0, highlight_count: 0 }
  for (const { notification_count, highlight_count } of counts.values()) {
    sum.notification_count += notification_count
    sum.highlight_count += highlight_count
  }
  return { unread_notifications: sum }
}

function threadsApart(counts: ReadonlyMap<string, UnreadCount>): SyncedUnread {
  const { main = { notification_count: 0, highlight_count: 0 }, ...threads } = Object.fromEntries(counts)
  return {
    unread_notifications: main,
    ...(Object.keys(threads).length > 0 && { unread_thread_notifications: threads }),
  }
}

/** Returns the rooms in which the user has read something on any device. */
export function roomsRead(rows: readonly StreamRow[], userId: UserId): Set<RoomId> {
  const owned = rows.flatMap((row) => (row.kind === 'receipt' ? receiptOwner(row) : []))
  return new Set(owned.filter((owner) => owner.userId === userId).map((owner) => owner.roomId))
}

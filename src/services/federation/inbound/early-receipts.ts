import { LRUCache } from 'lru-cache'
import type { EventId, RoomId, UserId } from '../../../core/ids.ts'
import type { Logger } from '../../../infra/logger.ts'
import type { StreamTail } from '../../../infra/stream-tail.ts'
import type { Database } from '../../../storage/engine/database.ts'
import { isOfThread, storeReceipts, UNKNOWN_ORDER } from '../../../storage/rooms/receipts.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import type { ReceiptRow } from '../../../storage/schema/ephemeral.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { isShownInThread } from '../../rooms/reading/thread-of.ts'

/** A receipt from another server; empty `threadId`: unthreaded. */
export type ReceivedReceipt = { roomId: RoomId; userId: UserId; eventId: EventId; threadId: string; ts: number }

type Capabilities = { database: Database; stream: StreamTail; logger: Logger }

/** Maximum number of receipts kept, in total and per event. */
const MAX_RECEIPTS = 20_000
const MAX_OF_EVENT = 1000

/**
 * Receipts for events that have not arrived yet, such as those in the same transaction. Kept in memory only, since
 * losing them does little harm.
 */
export type EarlyReceipts = { add(receipts: readonly ReceivedReceipt[]): void }

/** Creates the early receipts of a process; they are stored when their events arrive. */
export function createEarlyReceipts(app: Capabilities): EarlyReceipts {
  const early = new LRUCache<EventId, ReceivedReceipt[]>({
    maxSize: MAX_RECEIPTS,
    sizeCalculation: (receipts) => receipts.length,
  })

  const look = async (nids: readonly number[]) => {
    const events = [...(await loadEvents(app.database, nids)).values()]
    const arrived = events.flatMap((event) => early.get(event.event_id) ?? [])
    for (const event of events) early.delete(event.event_id)
    await storeReceivedReceipts(app, arrived, new Map(events.map((event) => [event.event_id, event])))
  }
  app.stream.subscribe((rows) => {
    if (early.size === 0) return
    const nids = rows.flatMap(({ kind, ref }) => (kind === 'event' && ref !== null ? ref : []))
    if (nids.length > 0) look(nids).catch((error) => app.logger.warn({ err: error }, 'storing of receipts failed'))
  })

  return {
    add(receipts) {
      for (const [eventId, ofEvent] of Map.groupBy(receipts, (receipt) => receipt.eventId))
        early.set(eventId, [...(early.get(eventId) ?? []), ...ofEvent].slice(-MAX_OF_EVENT))
    },
  }
}

/**
 * Stores receipts, also for unknown events, which were sent before this server joined. Skips receipts for events of
 * another room or thread.
 */
export async function storeReceivedReceipts(
  app: { database: Database },
  receipts: readonly ReceivedReceipt[],
  events: ReadonlyMap<EventId, StoredEvent>,
): Promise<void> {
  const rows: ReceiptRow[] = []
  for (const { roomId, userId, eventId, threadId, ts } of receipts) {
    const event = events.get(eventId)
    if (event && (event.room_id !== roomId || event.rejected)) continue
    if (isOfThread(threadId) && !(event && (await isShownInThread(app.database, event, threadId)))) continue
    const at = { event_id: eventId, event_order: event?.event_order ?? UNKNOWN_ORDER }
    rows.push({ room_id: roomId, user_id: userId, receipt_type: 'm.read', thread_id: threadId, ...at, ts })
  }
  if (rows.length > 0) await app.database.write((tx) => storeReceipts(tx, rows))
}

import { LRUCache } from 'lru-cache'
import type { App } from '../../app.ts'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import { madeOnce } from '../../infra/made-once.ts'
import type { ReceiptRow } from '../../storage/ephemeral-schema.ts'
import { loadEvents } from '../../storage/events.ts'
import { storeReceipts, UNKNOWN_ORDER } from '../../storage/receipts.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

/** A receipt as another server tells it; `threadId` empty: of no thread. */
export type ToldReceipt = { roomId: RoomId; userId: UserId; eventId: string; threadId: string; ts: number }

type Capabilities = Pick<App, 'database' | 'stream' | 'logger'>
type EarlyReceipts = { add(receipts: readonly ToldReceipt[]): void }

const MAX_EVENTS = 1000
const waiting = new WeakMap<App['stream'], EarlyReceipts>()

/** Receipts of events that are still on their way, as those of the same transaction may be. Kept in memory: they are not worth more. */
export function earlyReceiptsOf(app: Capabilities): EarlyReceipts {
  return madeOnce(waiting, app.stream, () => createEarlyReceipts(app))
}

function createEarlyReceipts(app: Capabilities): EarlyReceipts {
  const early = new LRUCache<string, ToldReceipt[]>({ max: MAX_EVENTS })

  const look = async (nids: readonly number[]) => {
    const events = [...(await loadEvents(app.database, nids)).values()]
    const arrived = events.flatMap((event) => early.get(event.event_id) ?? [])
    for (const event of events) early.delete(event.event_id)
    await storeTold(app, arrived, new Map(events.map((event) => [event.event_id, event])))
  }
  app.stream.subscribe((rows) => {
    if (early.size === 0) return
    const nids = rows.flatMap(({ kind, ref }) => (kind === 'event' && ref !== null ? ref : []))
    if (nids.length > 0) look(nids).catch((error) => app.logger.warn({ err: error }, 'storing receipts failed'))
  })

  return {
    add(receipts) {
      for (const receipt of receipts) early.set(receipt.eventId, [...(early.get(receipt.eventId) ?? []), receipt])
    },
  }
}

/** Stores receipts, also of events that are not here, as they were sent before this server was in the room; passes over those of what is no event of its room. */
export async function storeTold(
  app: Pick<App, 'database'>,
  receipts: readonly ToldReceipt[],
  events: ReadonlyMap<string, StoredEvent>,
): Promise<void> {
  const rows = receipts.flatMap(({ roomId, userId, eventId, threadId, ts }): ReceiptRow[] => {
    const event = events.get(eventId)
    if (event && (event.room_id !== roomId || event.rejected)) return []
    const at = { event_id: eventId as EventId, event_order: event?.event_order ?? UNKNOWN_ORDER }
    return [{ room_id: roomId, user_id: userId, receipt_type: 'm.read', thread_id: threadId, ...at, ts }]
  })
  if (rows.length > 0) await app.database.write((tx) => storeReceipts(tx, rows))
}

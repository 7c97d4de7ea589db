import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { ReceiptRow } from '../schema/ephemeral.ts'

/**
 * The maximum threads of a room in which a user has receipts of one type; beyond it, the receipts furthest back are
 * deleted.
 */
const MAX_THREADS = 1000

/** Whether a receipt is for a thread other than the main timeline. */
export function isOfThread(threadId: string): boolean {
  return threadId !== '' && threadId !== 'main'
}

/** The order of unknown events: before all others. */
export const UNKNOWN_ORDER = -Number.MAX_SAFE_INTEGER

/**
 * Moves receipts forward and appends them to the stream; those that would not advance are ignored. Stream rows of kind
 * 'receipt' contain whose receipts changed where: public ones have `room_id` and the user in `detail`, private ones
 * `user_id` and the room in `detail`; `ref` is the event's order. No two receipts may have the same user, room, type
 * and thread.
 */
export async function storeReceipts(tx: Tx, receipts: readonly ReceiptRow[]): Promise<void> {
  const { rows } = await sql<MovedReceipt>`insert into receipts
      (room_id, user_id, receipt_type, thread_id, event_id, event_order, ts)
    select * from unnest(${receipts.map((row) => row.room_id)}::text[], ${receipts.map((row) => row.user_id)}::text[],
      ${receipts.map((row) => row.receipt_type)}::text[], ${receipts.map((row) => row.thread_id)}::text[],
      ${receipts.map((row) => row.event_id)}::text[], ${receipts.map((row) => row.event_order)}::bigint[],
      ${receipts.map((row) => row.ts)}::bigint[])
    on conflict (room_id, user_id, receipt_type, thread_id) do update
      set event_id = excluded.event_id, event_order = excluded.event_order, ts = excluded.ts
      where receipts.event_order < excluded.event_order
        or (excluded.event_order = ${UNKNOWN_ORDER}::bigint and receipts.event_order = excluded.event_order and receipts.ts < excluded.ts)
    returning room_id, user_id, receipt_type, event_order`.execute(tx.sql)
  if (receipts.some(({ thread_id }) => isOfThread(thread_id))) await deleteOldThreads(tx, rows)
  for (const { room_id, user_id, receipt_type, event_order: ref } of rows) {
    if (receipt_type === 'm.read.private') appendToStream(tx, { kind: 'receipt', user_id, ref, detail: room_id })
    else appendToStream(tx, { kind: 'receipt', room_id, ref, detail: user_id })
  }
}

/** Deletes all receipts of a user, when the account is erased. */
export async function deleteReceipts(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('receipts').where('user_id', '=', userId).execute()
}

type MovedReceipt = Pick<ReceiptRow, 'room_id' | 'user_id' | 'receipt_type' | 'event_order'>

async function deleteOldThreads(tx: Tx, stored: readonly MovedReceipt[]): Promise<void> {
  await sql`delete from receipts using (
      select room_id, user_id, receipt_type, thread_id,
        row_number() over (partition by room_id, user_id, receipt_type order by event_order desc) as place
      from receipts join (select distinct * from unnest(${stored.map((row) => row.room_id)}::text[],
        ${stored.map((row) => row.user_id)}::text[], ${stored.map((row) => row.receipt_type)}::text[])
          as stored(room_id, user_id, receipt_type)) as stored using (room_id, user_id, receipt_type)
      where thread_id not in ('', 'main')
    ) as ranked
    where place > ${MAX_THREADS}::int and receipts.room_id = ranked.room_id and receipts.user_id = ranked.user_id
      and receipts.receipt_type = ranked.receipt_type and receipts.thread_id = ranked.thread_id`.execute(tx.sql)
}

/** If a room has more receipts, those furthest ahead are sent. */
const MOST_OF_ROOM = 2000

/** Returns the receipts of some rooms that a user may see: all public ones, and the user's own private ones. */
export async function loadRoomReceipts(db: Db, roomIds: readonly RoomId[], userId: UserId): Promise<ReceiptRow[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<ReceiptRow>`select found.* from unnest(${roomIds}::text[]) as room(room_id)
    cross join lateral (select * from receipts where receipts.room_id = room.room_id
      and (receipt_type <> 'm.read.private' or user_id = ${userId})
      order by user_id = ${userId} desc, event_order desc limit ${MOST_OF_ROOM}::int) as found`.execute(db.sql)
  return rows
}

/** The receipts that moved, from stream rows: user, room and order; null: any. */
export type MovedReceipts = { roomId: RoomId; userId: UserId; orders: Iterable<number | null> }

/** Returns the moved receipts that `readerId` may see. Receipts that have moved again are reported by a later row. */
export async function loadReceiptsOf(db: Db, moved: readonly MovedReceipts[], readerId: UserId): Promise<ReceiptRow[]> {
  const keys = moved.flatMap(({ roomId, userId, orders }) =>
    [...orders].map((at) => `${roomId}\0${userId}\0${at ?? ''}`),
  )
  const receipts = await loadMoved(db, [...new Set(keys)])
  return [...receipts.values()]
    .flat()
    .filter((row) => row.receipt_type !== 'm.read.private' || row.user_id === readerId)
}

/**
 * A real client reads an event in its thread, the room and the main timeline. If a remote user has receipts in more
 * threads for it, not all of them are sent.
 */
const MOST_AT_ONCE = 100

/** Shared, because all members of a room request it when a user has read something. */
const loadMoved = sharedLoads<string, ReceiptRow[]>(
  async (db, moved) => {
    const keys = moved.map((key) => key.split('\0'))
    const { rows } = await sql<ReceiptRow & { place: number }>`select found.*, place
      from unnest(${keys.map(([roomId]) => roomId)}::text[], ${keys.map(([, userId]) => userId)}::text[],
        ${keys.map(([, , at]) => (at ? Number(at) : null))}::bigint[]) with ordinality as moved(room_id, user_id, at, place)
      cross join lateral (select * from receipts where receipts.room_id = moved.room_id and receipts.user_id = moved.user_id
        and (at is null or event_order = at) order by ts desc limit ${MOST_AT_ONCE}::int) as found`.execute(db.sql)
    return Map.groupBy(rows, ({ place }) => moved[place - 1]!)
  },
  { whileReading: false },
)

/** Returns a user's own receipts in some rooms, including private ones: the basis of notification counts. */
export async function loadOwnReceipts(db: Db, userId: UserId, roomIds: readonly RoomId[]): Promise<ReceiptRow[]> {
  if (roomIds.length === 0) return []
  const { rows } =
    await sql<ReceiptRow>`select * from receipts where user_id = ${userId} and room_id = any(${roomIds}::text[])`.execute(
      db.sql,
    )
  return rows
}

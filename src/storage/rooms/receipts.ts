import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { ReceiptRow } from '../schema/ephemeral.ts'

/** Threads of a room in which a user has receipts of one type; of more, those go that were read furthest back. */
const MAX_THREADS = 1000

/** Whether a receipt is of a thread other than the main timeline. */
export function isOfThread(threadId: string): boolean {
  return threadId !== '' && threadId !== 'main'
}

/** The place of events that are not here: anything else is further on. */
export const UNKNOWN_ORDER = -Number.MAX_SAFE_INTEGER

/**
 * Moves receipts forward and puts them on the stream; ones that would go back or stay change nothing. Stream rows of kind 'receipt' say
 * whose receipts changed where: public ones have `room_id` and the user in `detail`, private ones `user_id` and the room in `detail`; `ref` is
 * the event's place in the room. No two receipts may be for the same user, room, type and thread.
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

/** Of a room with more receipts, those are told that are furthest on. */
const MOST_OF_ROOM = 2000

/** The receipts of some rooms that a user may see: everyone's public ones, and the user's own private ones. */
export async function loadRoomReceipts(db: Db, roomIds: readonly RoomId[], userId: UserId): Promise<ReceiptRow[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<ReceiptRow>`select found.* from unnest(${roomIds}::text[]) as room(room_id)
    cross join lateral (select * from receipts where receipts.room_id = room.room_id
      and (receipt_type <> 'm.read.private' or user_id = ${userId})
      order by user_id = ${userId} desc, event_order desc limit ${MOST_OF_ROOM}::int) as found`.execute(db.sql)
  return rows
}

/** Whose receipts moved in which room, and where to, as stream rows tell it; null: anywhere. */
export type MovedReceipts = { roomId: RoomId; userId: UserId; orders: Iterable<number | null> }

/** The receipts that moved, as far as `readerId` may see them; those that have moved on since are told by a later row. */
export async function loadReceiptsOf(db: Db, moved: readonly MovedReceipts[], readerId: UserId): Promise<ReceiptRow[]> {
  const keys = moved.flatMap(({ roomId, userId, orders }) =>
    [...orders].map((at) => `${roomId}\0${userId}\0${at ?? ''}`),
  )
  const receipts = await loadMoved(db, [...new Set(keys)])
  return [...receipts.values()]
    .flat()
    .filter((row) => row.receipt_type !== 'm.read.private' || row.user_id === readerId)
}

/** An event is read in its thread, the room and the main timeline: remote users who name more threads for it are not told with all of these. */
const MOST_AT_ONCE = 100

/** Shared, for everyone in a room asks when somebody has read something. */
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

/** A user's own receipts in some rooms, private ones included: what notification counts go by. */
export async function loadOwnReceipts(db: Db, userId: UserId, roomIds: readonly RoomId[]): Promise<ReceiptRow[]> {
  if (roomIds.length === 0) return []
  const { rows } =
    await sql<ReceiptRow>`select * from receipts where user_id = ${userId} and room_id = any(${roomIds}::text[])`.execute(
      db.sql,
    )
  return rows
}

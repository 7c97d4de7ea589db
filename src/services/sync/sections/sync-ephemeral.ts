import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { loadReceiptsOf, loadRoomReceipts, type MovedReceipts } from '../../../storage/rooms/receipts.ts'
import { loadTypingUsers, MOST_TYPING } from '../../../storage/rooms/typing.ts'
import type { ReceiptRow } from '../../../storage/schema/ephemeral.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { receiptContents } from '../../rooms/sending/receipt-contents.ts'
import type { SyncViewer } from './sync-room.ts'

type EphemeralEvent = { type: string; content: object }
/**
 * Maximum number of moved receipts per response, the newest: after a long absence, clients learn others when they move
 * again.
 */
const MOST_MOVED = 20_000

/** Typing and receipts, by room. */
export type Ephemeral = Map<RoomId, EphemeralEvent[]>

/** Returns typing and all receipts of rooms that are new to the client; `to`: the response's stream position. */
export async function allEphemeral(
  app: Pick<App, 'database' | 'clock' | 'stream'>,
  viewer: SyncViewer,
  { roomIds, to }: { roomIds: readonly RoomId[]; to: number },
): Promise<Ephemeral> {
  const typing = await loadTypingUsers(app.database, roomIds, app.clock.now())
  const receipts = await loadRoomReceipts(app.database, roomIds, viewer.userId)
  return assemble(viewer, await withoutLaterTyping(app, typing, to), receipts)
}

/** Leaves out users whose typing the next stream rows report: the client would get them twice. */
async function withoutLaterTyping(
  app: Pick<App, 'stream'>,
  typing: ReadonlyMap<RoomId, UserId[]>,
  to: number,
): Promise<Map<RoomId, UserId[]>> {
  if (typing.size === 0) return new Map()
  // The data may be newer than this process's stream position.
  const newest = await app.stream.refresh()
  const rows = await app.stream.rowsBetween({ from: to, to: newest, roomIds: new Set(typing.keys()), userId: '' })
  const later = new Set(rows.flatMap(({ kind, room_id, detail }) => (kind === 'typing' ? `${room_id} ${detail}` : [])))
  const before = [...typing].map(([roomId, users]): [RoomId, UserId[]] => [
    roomId,
    users.filter((user) => !later.has(`${roomId} ${user}`)),
  ])
  return new Map(before.filter(([, users]) => users.length > 0))
}

/** Counts the receipts in these events. */
export function countReceipts(ephemeral: Ephemeral): number {
  let count = 0
  for (const { type, content } of [...ephemeral.values()].flat()) {
    if (type !== 'm.receipt') continue
    for (const types of Object.values(content as Record<string, Record<string, object>>))
      for (const users of Object.values(types)) count += Object.keys(users).length
  }
  return count
}

/**
 * Returns typing and receipts that stream rows changed in some joined rooms. When typing ends, the list is sent empty.
 */
export async function changedEphemeral(
  app: Pick<App, 'database' | 'clock'>,
  viewer: SyncViewer,
  { rows, joined }: { rows: readonly StreamRow[]; joined: ReadonlySet<RoomId> },
): Promise<Ephemeral> {
  const typingRooms = new Set(
    rows.flatMap((row) => (row.kind === 'typing' && row.room_id && joined.has(row.room_id) ? row.room_id : [])),
  )
  const owners = rows
    .flatMap((row) => (row.kind === 'receipt' ? receiptOwner(row) : []))
    .filter(({ roomId }) => joined.has(roomId))
    .slice(-MOST_MOVED)
  const typing = await loadTypingUsers(app.database, [...typingRooms], app.clock.now())
  for (const roomId of typingRooms) if (!typing.has(roomId)) typing.set(roomId, [])
  return assemble(viewer, typing, await loadReceiptsOf(app.database, owners, viewer.userId))
}

/**
 * Returns the owner and room of a row's receipts: public receipts name their owner in `detail`, private ones their
 * room.
 */
export function receiptOwner(row: StreamRow): MovedReceipts[] {
  const detail = row.detail ?? ''
  const orders = [row.ref]
  if (row.room_id !== null) return [{ roomId: row.room_id, userId: detail as UserId, orders }]
  return row.user_id === null ? [] : [{ roomId: detail as RoomId, userId: row.user_id, orders }]
}

function assemble(
  { filter, ignored }: SyncViewer,
  typing: ReadonlyMap<RoomId, UserId[]>,
  receipts: readonly ReceiptRow[],
): Ephemeral {
  const events: Ephemeral = new Map()
  const add = (roomId: RoomId, event: EphemeralEvent) => {
    if (filter.takesEphemeral(event, roomId)) events.set(roomId, [...(events.get(roomId) ?? []), event])
  }
  for (const [roomId, users] of typing) {
    add(roomId, {
      type: 'm.typing',
      content: { user_ids: users.filter((user) => !ignored.has(user)).slice(0, MOST_TYPING) },
    })
  }
  const shown = receipts.filter(({ user_id }) => !ignored.has(user_id))
  for (const [roomId, ofRoom] of Map.groupBy(shown, ({ room_id }) => room_id)) {
    for (const content of receiptContents(ofRoom)) add(roomId, { type: 'm.receipt', content })
  }
  return events
}

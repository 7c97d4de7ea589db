import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import { type EventId, isEventId, type RoomId, type UserId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../../storage/engine/database.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'
import { storeReceipts } from '../../../storage/rooms/receipts.ts'
import { findRoomEvent } from '../../../storage/rooms/timeline/events.ts'
import type { ReceiptType } from '../../../storage/schema/ephemeral.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { findAccountData, storeAccountData } from '../../../storage/users/account-data.ts'
import { isShownInThread } from '../reading/thread-of.ts'

/** Receipt types, and the fully read marker, which is stored as account data. */
export type MarkerType = ReceiptType | 'm.fully_read'
export type Marker = { type: MarkerType; eventId: EventId; threadId?: string | undefined }

/**
 * Moves a user's receipts and fully read marker in a room forward, in one transaction; ones that would move back are
 * ignored. Receipts of a user who has left the room are dropped, since clients retry refused ones forever. Throws
 * M_FORBIDDEN for a user who was never in the room, M_NOT_FOUND for unknown events, and M_INVALID_PARAM for a thread
 * that the event is not in. https://spec.matrix.org/v1.19/client-server-api/#receipts
 */
export async function setMarkers(
  app: Pick<App, 'database' | 'clock'>,
  command: { roomId: RoomId; userId: UserId; markers: readonly Marker[] },
): Promise<void> {
  const { roomId, userId, markers } = command
  const membership = await findMembership(app.database, roomId, userId)
  if (!membership) throw new ForbiddenError('You are not in this room')
  if (membership.membership !== 'join') return
  const events = await Promise.all(markers.map((marker) => markedEvent(app.database, roomId, marker)))
  const ts = app.clock.now()
  await app.database.write(async (tx) => {
    for (const [place, { type, threadId }] of markers.entries()) {
      const event = events[place]!
      if (type === 'm.fully_read') await moveFullyRead(tx, { roomId, userId, event })
      else
        await storeReceipts(tx, [
          { ...receiptRow(roomId, userId, event), receipt_type: type, thread_id: threadId ?? '', ts },
        ])
    }
  })
}

function receiptRow(room_id: RoomId, user_id: UserId, event: StoredEvent) {
  return { room_id, user_id, event_id: event.event_id, event_order: event.event_order! }
}

async function markedEvent(db: Db, roomId: RoomId, { type, eventId, threadId }: Marker): Promise<StoredEvent> {
  const event = await findRoomEvent(db, roomId, eventId)
  if (!event || event.event_order === null) throw new NotFoundError(`The room has no event ${eventId}`)
  if (threadId === undefined) return event
  if (type === 'm.fully_read') throw new InvalidParamError('m.fully_read has no thread_id')
  if (!(await isShownInThread(db, event, threadId)))
    throw new InvalidParamError(`The event is not in the thread ${threadId}`)
  return event
}

/** https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers */
async function moveFullyRead(
  tx: Tx,
  { roomId, userId, event }: { roomId: RoomId; userId: UserId; event: StoredEvent },
): Promise<void> {
  const key = { roomId, type: 'm.fully_read' }
  const old = await findAccountData(tx, userId, key)
  const oldId: unknown = old && JSON.parse(old).event_id
  const oldEvent = typeof oldId === 'string' && isEventId(oldId) ? await findRoomEvent(tx, roomId, oldId) : undefined
  if (oldEvent && (oldEvent.event_order ?? 0) >= event.event_order!) return
  await storeAccountData(tx, userId, { ...key, content: JSON.stringify({ event_id: event.event_id }) })
}

import { sql } from 'kysely'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import type { Db } from '../../engine/database.ts'
import { sharedLoads } from '../../engine/shared-loads.ts'
import type { EventRow } from '../../schema/rooms.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'

/** Loads events by nid: from the cache, and the rest in one query. Unknown nids are absent from the result. */
export async function loadEvents(db: Db, nids: readonly number[]): Promise<Map<number, StoredEvent>> {
  const found = new Map<number, StoredEvent>()
  const absent: number[] = []
  for (const nid of nids) {
    const cached = db.caches.events.get(nid)
    if (cached) found.set(nid, cached)
    else absent.push(nid)
  }
  db.caches.counts.events.hits += found.size
  db.caches.counts.events.misses += absent.length
  if (absent.length === 0) return found
  for (const [nid, event] of await loadByNid(db, absent)) found.set(nid, event)
  return found
}

const loadByNid = sharedLoads<number, StoredEvent>(
  async (db, nids) => {
    const { times } = db.caches.forgotten
    const { rows } = await sql<EventRow>`select * from events where event_nid = any(${nids}::bigint[])`.execute(db.sql)
    return new Map(rows.map((row) => [row.event_nid, cacheEvent(db, row, times)]))
  },
  { whileReading: true, versionOf: (db) => db.caches.forgotten.times },
)

/** Loads events by id, in this order; unknown ones are omitted. */
export async function loadEventsById(db: Db, eventIds: readonly EventId[]): Promise<StoredEvent[]> {
  const found = new Map<string, StoredEvent>()
  for (const eventId of eventIds) {
    const cached = cachedEvent(db, eventId)
    if (cached) found.set(eventId, cached)
  }
  const absent = eventIds.filter((eventId) => !found.has(eventId))
  db.caches.counts.events.hits += found.size
  db.caches.counts.events.misses += absent.length
  if (absent.length > 0) {
    const { times } = db.caches.forgotten
    const { rows } = await sql<EventRow>`select * from events where event_id = any(${absent}::text[])`.execute(db.sql)
    for (const row of rows) found.set(row.event_id, cacheEvent(db, row, times))
  }
  return eventIds.flatMap((eventId) => found.get(eventId) ?? [])
}

/** Finds an event of a room by id; undefined if it is unknown, in another room, or rejected. */
export async function findRoomEvent(db: Db, roomId: RoomId, eventId: EventId): Promise<StoredEvent | undefined> {
  const [event] = await loadEventsById(db, [eventId])
  return event?.room_id === roomId && !event.rejected ? event : undefined
}

/** Finds the event of an earlier request with the same client transaction id. */
export async function findTransactionEvent(
  db: Db,
  transaction: { sender: string; deviceId: string; roomId: RoomId; type: string; txnId: string },
): Promise<EventId | undefined> {
  const { rows } = await sql<{ event_id: EventId }>`select event_id from events where sender = ${transaction.sender}
    and txn_device_id = ${transaction.deviceId} and room_id = ${transaction.roomId} and type = ${transaction.type}
    and txn_id = ${transaction.txnId}`.execute(db.sql)
  return rows[0]?.event_id
}

/** Evicts an event from the caches after a redaction. */
export function forgetEvent(db: Db, eventId: string): void {
  db.caches.forgotten.times++
  const nid = db.caches.eventNids.get(eventId)
  if (nid !== undefined) db.caches.events.delete(nid)
}

/** Like `forgetEvent`, after other changes of its metadata. */
export function forgetNid(db: Db, nid: number): void {
  db.caches.forgotten.times++
  db.caches.events.delete(nid)
}

/** Evicts an event from the caches if it is cached as one outside the visible timeline. */
export function forgetIfElsewhere(db: Db, nid: number): void {
  const event = db.caches.events.peek(nid)
  if (event && (event.event_order === null || event.soft_failed)) forgetEvent(db, event.event_id)
}

/** Evicts all events of a room from the caches, after their states were recomputed. */
export function forgetRoomEvents(db: Db, roomId: RoomId): void {
  db.caches.forgotten.times++
  for (const [nid, event] of db.caches.events.entries()) if (event.room_id === roomId) db.caches.events.delete(nid)
}

/** Evicts all that the caches have of a room, after its deletion. */
export function forgetRemovedRoom(db: Db, roomId: RoomId): void {
  forgetRoomEvents(db, roomId)
  db.caches.roomVersions.delete(roomId)
  // A room that is entered again counts from 0.
  db.caches.recomputations.delete(roomId)
}

/** Like `forgetRoomEvents`, unless that was done for this count of `recomputations` in the room's locked head. */
export function forgetIfRecomputed(db: Db, roomId: RoomId, recomputations: number): void {
  if (recomputations === 0 || db.caches.recomputations.get(roomId) === recomputations) return
  forgetRoomEvents(db, roomId)
  db.caches.recomputations.set(roomId, recomputations)
}

/** Adds a committed event to the cache. */
export function cacheStoredEvent(db: Db, event: StoredEvent): void {
  db.caches.events.set(event.event_nid, event)
  db.caches.eventNids.set(event.event_id, event.event_nid)
}

/** Returns an event from the cache, if present. */
export function cachedEvent(db: Db, eventId: EventId): StoredEvent | undefined {
  return db.caches.events.get(db.caches.eventNids.get(eventId) ?? 0)
}

/**
 * Returns the events that were read, after adding them to the cache. `forgotten`: the number of evictions when the read
 * began.
 */
export function cacheEvents(db: Db, rows: readonly EventRow[], forgotten: number): StoredEvent[] {
  return rows.map((row) => cachedEvent(db, row.event_id) ?? cacheEvent(db, row, forgotten))
}

function cacheEvent(db: Db, row: EventRow, forgotten: number): StoredEvent {
  const event = storedEvent(row)
  if (forgotten === db.caches.forgotten.times) cacheStoredEvent(db, event)
  return event
}

function storedEvent(row: EventRow): StoredEvent {
  const pdu = JSON.parse(row.json) as Pdu
  return {
    event_id: row.event_id,
    room_id: row.room_id,
    pdu,
    auth_event_ids: referencedIds(pdu.auth_events),
    prev_event_ids: referencedIds(pdu.prev_events),
    rejected: row.rejected !== null,
    event_nid: row.event_nid,
    event_order: row.event_order,
    state_before: row.state_before,
    state_after: row.state_after,
    room_before: row.room_before ?? row.state_before,
    room_after: row.room_after ?? row.state_after,
    soft_failed: row.soft_failed,
    redacted_by: row.redacted_by,
    txn_device_id: row.txn_device_id,
    txn_id: row.txn_id,
    delay_id: row.delay_id,
    size: row.json.length,
  }
}

function referencedIds(references: Pdu['auth_events']): EventId[] {
  return references.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
}

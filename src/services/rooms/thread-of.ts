import { relationOf } from '../../core/relations.ts'
import type { Db } from '../../storage/database.ts'
import { findRoomEvent } from '../../storage/events.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

/** How far relations are followed to find the thread that an event belongs to. */
const MAX_HOPS = 3

/** The root of the thread that an event is in, or `main`. https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts */
export async function threadOf(db: Db, event: StoredEvent): Promise<string> {
  return (await placeOf(db, event)).thread
}

/**
 * Whether a receipt for a thread may name the event: it is in the thread, or its root, or hangs on the root by another relation; those
 * two are in the main timeline, but clients show them with the thread and mark them read there as well.
 */
export async function isShownInThread(db: Db, event: StoredEvent, threadId: string): Promise<boolean> {
  const { thread, ancestors } = await placeOf(db, event)
  return thread === threadId || ancestors.includes(threadId)
}

async function placeOf(db: Db, event: StoredEvent): Promise<{ thread: string; ancestors: string[] }> {
  const ancestors: string[] = [event.event_id]
  let current: StoredEvent | undefined = event
  for (let hop = 0; current && hop <= MAX_HOPS; hop++) {
    const relation = relationOf(current.pdu.content)
    if (!relation) break
    if (relation.rel_type === 'm.thread') return { thread: relation.event_id, ancestors }
    ancestors.push(relation.event_id)
    current = await findRoomEvent(db, current.room_id, relation.event_id)
  }
  return { thread: 'main', ancestors }
}

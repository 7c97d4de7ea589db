import type { EventId } from '../../../core/ids.ts'
import { type Relation, relationOf } from '../../../core/rooms/relations.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/** Maximum number of relations followed to find an event's thread. */
const MAX_HOPS = 3

/** A relation, and its parent event if this server has it. */
export type CountingRelation = Relation & { parent: StoredEvent | undefined }

/**
 * Returns the valid relations of some events; events without one are absent. A relation to an event of another room is
 * invalid; a missing parent may be in the room. Uses one query for all.
 * https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events
 */
export async function countingRelations(
  db: Db,
  events: readonly StoredEvent[],
): Promise<Map<StoredEvent, CountingRelation>> {
  const declared = events.flatMap((event) => {
    const relation = relationOf(event.pdu.content)
    return relation ? [{ event, relation }] : []
  })
  if (declared.length === 0) return new Map()
  const ids = new Set(declared.map(({ relation }) => relation.event_id))
  const parents = new Map((await loadEventsById(db, [...ids])).map((parent) => [parent.event_id, parent]))
  const counting = new Map<StoredEvent, CountingRelation>()
  for (const { event, relation } of declared) {
    const parent = parents.get(relation.event_id)
    if (!parent || (parent.room_id === event.room_id && !parent.rejected)) counting.set(event, { ...relation, parent })
  }
  return counting
}

/**
 * Returns the thread root of each event, or `main`.
 * https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts
 */
export async function threadsOf(db: Db, events: readonly StoredEvent[]): Promise<Map<StoredEvent, string>> {
  return new Map([...(await placesOf(db, events))].map(([event, { thread }]) => [event, thread]))
}

/**
 * Returns whether a receipt for a thread may name the event: it is in the thread, is its root, or relates to the root
 * otherwise. The latter two are in the main timeline, but clients also show them, and mark them read, in the thread.
 */
export async function isShownInThread(db: Db, event: StoredEvent, threadId: string): Promise<boolean> {
  const { thread, ancestors } = (await placesOf(db, [event])).get(event)!
  return thread === threadId || ancestors.some((id) => id === threadId)
}

type Place = { thread: string; ancestors: EventId[] }

/** Follows the relations of all events together, one query per step. */
async function placesOf(db: Db, events: readonly StoredEvent[]): Promise<Map<StoredEvent, Place>> {
  const places = new Map<StoredEvent, Place>(
    events.map((event) => [event, { thread: 'main', ancestors: [event.event_id] }]),
  )
  let at = new Map(events.map((event) => [event, event]))
  for (let hop = 0; at.size > 0 && hop <= MAX_HOPS; hop++) {
    const relations = await countingRelations(db, [...new Set(at.values())])
    const next = new Map<StoredEvent, StoredEvent>()
    for (const [event, current] of at) {
      const relation = relations.get(current)
      if (!relation) continue
      const place = places.get(event)!
      if (relation.rel_type === 'm.thread') place.thread = relation.event_id
      else {
        place.ancestors.push(relation.event_id)
        if (relation.parent) next.set(event, relation.parent)
      }
    }
    at = next
  }
  return places
}

import type { RoomId, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { type PreparedEvent, prepareEvent } from '../../core/push-rules/prepare-event.ts'
import { powerLevels } from '../../core/rooms/power-levels.ts'
import { relationOf } from '../../core/rooms/relations.ts'
import type { Db } from '../../storage/engine/database.ts'
import { loadJoinedCounts } from '../../storage/push/notifications.ts'
import { loadThreadSubscribers, type ThreadKey } from '../../storage/rooms/thread-subscriptions.ts'
import { readEventsOfStates } from '../../storage/rooms/timeline/room-state.ts'
import { loadRoomVersions } from '../../storage/rooms/timeline/room-versions.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { type CountingRelation, countingRelations } from '../rooms/reading/thread-of.ts'

/** Prepares events for push rules, in the same order; each once per process. */
export type PrepareEvents = (events: readonly StoredEvent[]) => Promise<PreparedEvent[]>

export function createPreparedEvents(db: Db): PrepareEvents {
  /** Keyed by the cached event, so that a message is prepared once for all its recipients. */
  const prepared = new WeakMap<StoredEvent, Promise<PreparedEvent>>()
  return async (events) => {
    const fresh = events.filter((event) => !prepared.has(event))
    if (fresh.length > 0) {
      const made = prepareAll(db, fresh)
      for (const [place, event] of fresh.entries()) {
        const one = made.then((all) => all[place]!)
        prepared.set(event, one)
        one.catch(() => prepared.delete(event))
      }
    }
    return Promise.all(events.map((event) => prepared.get(event)!))
  }
}

async function prepareAll(db: Db, events: readonly StoredEvent[]): Promise<PreparedEvent[]> {
  const roomIds = new Set<RoomId>(events.map((event) => event.room_id))
  const [versions, counts] = await Promise.all([loadRoomVersions(db, roomIds), loadJoinedCounts(db, [...roomIds])])
  const roots = [...new Set(events.flatMap((event) => event.state_before || []))]
  const state = await readEventsOfStates(
    db,
    roots.flatMap((root) => [
      { root, type: 'm.room.create', state_key: '' },
      { root, type: 'm.room.power_levels', state_key: '' },
    ]),
  )
  const byRoot = new Map(roots.map((root, place) => [root, { create: state[2 * place], levels: state[2 * place + 1] }]))
  const relations = await decisiveRelations(db, events)
  const subscribers = await threadSubscribersOf(db, relations)
  return events.map((event) => {
    const { create, levels } = byRoot.get(event.state_before ?? 0) ?? {}
    const version = versions.get(event.room_id)
    const power = create && version && powerLevels(version, create, levels)
    const { type, sender, state_key, redacts, content } = event.pdu
    return prepareEvent({
      event: {
        event_id: event.event_id,
        room_id: event.room_id,
        type,
        sender,
        content: relations.get(event) === 'void' ? withoutRelation(content) : content,
        ...(state_key !== undefined && { state_key }),
        ...(redacts !== undefined && { redacts }),
      },
      memberCount: counts.get(event.room_id) ?? 0,
      senderPowerLevel: power?.of(sender) ?? 0,
      notificationLevel: (key) => power?.notification(key) ?? 50,
      threadSubscribers: subscribers.get(event),
    })
  })
}

/**
 * Loads the relations that rules depend on, those of threads and edits; `void`: an invalid relation. Other events are
 * absent.
 */
async function decisiveRelations(
  db: Db,
  events: readonly StoredEvent[],
): Promise<ReadonlyMap<StoredEvent, CountingRelation | 'void'>> {
  const related = events.filter(({ pdu }) => DECISIVE.has(relationOf(pdu.content)?.rel_type ?? ''))
  const counting = await countingRelations(db, related)
  return new Map(related.map((event) => [event, counting.get(event) ?? 'void']))
}

const DECISIVE: ReadonlySet<string> = new Set(['m.thread', 'm.replace'])

/** Returns an event's content without its relation; a reply stays one. */
function withoutRelation(content: JsonObject): JsonObject {
  const { rel_type: _type, event_id: _parent, ...rest } = content['m.relates_to'] as JsonObject
  return { ...content, 'm.relates_to': rest }
}

/** Loads the subscribers of the events' threads, as of now; events in the main timeline are absent. */
async function threadSubscribersOf(
  db: Db,
  relations: ReadonlyMap<StoredEvent, CountingRelation | 'void'>,
): Promise<ReadonlyMap<StoredEvent, ReadonlySet<UserId>>> {
  const threads = new Map<StoredEvent, ThreadKey>()
  for (const [event, relation] of relations)
    if (relation !== 'void' && relation.rel_type === 'm.thread')
      threads.set(event, { roomId: event.room_id, threadId: relation.event_id })
  const subscribers = await loadThreadSubscribers(db, [...threads.values()])
  return new Map([...threads].map(([event, { threadId }]) => [event, subscribers.get(threadId) ?? new Set()]))
}

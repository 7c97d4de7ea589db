import type { Event } from '../../core/events/pdu.ts'
import type { EventId, RoomId } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import type { Spool, SpooledText } from '../../infra/spool.ts'

/** An event of an answer whose signatures are verified. */
type ReceivedEvent = {
  /** The events that have to be accepted for it to be; since room version 12 `m.room.create` is among them, without being cited. */
  authIds: EventId[]
  text: SpooledText
}

/** The state of a room as another server tells it. The events' texts are in the spool, for there may be many more than memory holds. */
export type ReceivedEvents = {
  /** State and auth chain together. */
  events: Map<EventId, ReceivedEvent>
  /** Those of them that are the state, where somebody wants to know. */
  state: Set<EventId>
  spool: Spool
}

/** Adds verified events, each once. `intern`: keeps one string for each id. */
export async function addReceived(
  received: ReceivedEvents,
  { version, roomId }: { version: RoomVersion; roomId: RoomId },
  { events, intern = (id) => id }: { events: readonly Event[]; intern?: (id: EventId) => EventId },
): Promise<void> {
  const unique = [...new Map(events.map((event) => [event.event_id, event])).values()]
  const fresh = unique.filter(({ event_id }) => !received.events.has(event_id))
  const places = await received.spool.add(fresh.map(({ pdu }) => JSON.stringify(pdu)))
  const createIds = version.roomIdIsCreateHash ? [`$${roomId.slice(1)}` as EventId] : []
  for (const [place, event] of fresh.entries()) {
    const authIds = event.pdu.type === 'm.room.create' ? [] : [...event.auth_event_ids, ...createIds].map(intern)
    received.events.set(intern(event.event_id), { authIds, text: places[place]! })
  }
}

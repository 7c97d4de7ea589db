import type { App } from '../../../app.ts'
import { createEventIdOf, type EventId, type RoomId, type ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { createSpool, type Spool, type SpooledText } from '../../../infra/spool.ts'
import { withoutUnsigned } from '../../../storage/schema/stored-event.ts'
import { verifyEvents } from '../trust/verify-events.ts'

/** A received event with verified signatures. */
type ReceivedEvent = {
  /**
   * The events that must be accepted first; since room version 12 that includes `m.room.create`, without a reference.
   */
  authIds: EventId[]
  text: SpooledText
}

/** The state of a room as received from another server. The texts are in the spool, since they may exceed memory. */
export type ReceivedEvents = {
  /** State and auth chain together. */
  events: Map<EventId, ReceivedEvent>
  /** The IDs of the state events among them. */
  state: Set<EventId>
  spool: Spool
}

/** A received PDU, and whether the server lists it as state. */
export type ListedPdu = { pdu: unknown; isState: boolean }

/** Collects the events of a response as they arrive. */
export type EventCollector = {
  /** Verifies events; resolves as soon as more may be added. */
  add(listed: readonly ListedPdu[]): Promise<void>
  /** Waits until all have been verified. */
  end(): Promise<void>
}

/** Returns an empty collection. The caller closes the spool. */
export function emptyReceived(): ReceivedEvents {
  return { events: new Map(), state: new Set(), spool: createSpool() }
}

/**
 * Verifies events of a room in batches, and adds each once. Events with invalid signatures or of other rooms are left
 * out. While one batch is verified and a second one waits, the next may arrive.
 */
export function createEventCollector(
  app: Pick<App, 'keyRing' | 'logger'>,
  room: { version: RoomVersion; roomId: RoomId; server: ServerName },
  received: ReceivedEvents,
): EventCollector {
  const intern = createInterner()
  let [last, beforeLast] = [Promise.resolve(), Promise.resolve()]

  async function take(listed: readonly ListedPdu[], after: Promise<void>): Promise<void> {
    // Keeps the order, since the spool accepts one batch at a time.
    const [events] = await Promise.all([verifiedOf(app, room, listed), after])
    for (const { event, isState } of events) {
      if (isState && event.pdu.state_key !== undefined) received.state.add(intern(event.event_id))
    }
    await addReceived(received, room.roomId, { events: events.map(({ event }) => event), intern })
  }

  return {
    async add(listed) {
      await beforeLast
      beforeLast = last
      last = take(listed, beforeLast)
      // Handled where it is awaited.
      last.catch(() => {})
    },
    end: () => last,
  }
}

async function verifiedOf(
  app: Pick<App, 'keyRing' | 'logger'>,
  { version, roomId, server }: { version: RoomVersion; roomId: RoomId; server: ServerName },
  listed: readonly ListedPdu[],
): Promise<{ event: Event; isState: boolean }[]> {
  const verified = await verifyEvents(
    app,
    version,
    listed.map(({ pdu }) => pdu),
  )
  const reasons: string[] = []
  const events = verified.flatMap((result, place) => {
    if (result.ok && result.event.room_id === roomId) return { event: result.event, isState: listed[place]!.isState }
    reasons.push(result.ok ? 'It is in another room' : result.reason)
    return []
  })
  if (reasons.length > 0) {
    const found = { server, room_id: roomId, events: reasons.length, reason: reasons[0] }
    app.logger.warn(found, 'invalid events omitted from room state')
  }
  return events
}

async function addReceived(
  received: ReceivedEvents,
  roomId: RoomId,
  { events, intern }: { events: readonly Event[]; intern: (id: EventId) => EventId },
): Promise<void> {
  const unique = [...new Map(events.map((event) => [event.event_id, event])).values()]
  const fresh = unique.filter(({ event_id }) => !received.events.has(event_id))
  const places = await received.spool.add(fresh.map(({ pdu }) => JSON.stringify(withoutUnsigned(pdu))))
  const createId = createEventIdOf(roomId)
  const createIds = createId === undefined ? [] : [createId]
  for (const [place, event] of fresh.entries()) {
    const authIds = event.pdu.type === 'm.room.create' ? [] : [...event.auth_event_ids, ...createIds].map(intern)
    received.events.set(intern(event.event_id), { authIds, text: places[place]! })
  }
}

/** Keeps one string per ID, however often it occurs. */
function createInterner(): (id: EventId) => EventId {
  const known = new Map<EventId, EventId>()
  return (id) => {
    const first = known.get(id)
    if (first === undefined) known.set(id, id)
    return first ?? id
  }
}

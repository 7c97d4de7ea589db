import type { App } from '../../../app.ts'
import { createEventIdOf, type EventId, type RoomId, type ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { createSpool, type Spool, type SpooledText } from '../../../infra/spool.ts'
import { withoutUnsigned } from '../../../storage/schema/stored-event.ts'
import { verifyEvents } from '../trust/verify-events.ts'

/** An event of an answer whose signatures are verified. */
type ReceivedEvent = {
  /**
   * The events that have to be accepted for it to be; since room version 12 `m.room.create` is among them, without
   * being cited.
   */
  authIds: EventId[]
  text: SpooledText
}

/**
 * The state of a room as another server tells it. The events' texts are in the spool, for there may be many more than
 * memory holds.
 */
export type ReceivedEvents = {
  /** State and auth chain together. */
  events: Map<EventId, ReceivedEvent>
  /** Those of them that are the state. */
  state: Set<EventId>
  spool: Spool
}

/** A PDU as it came, and whether it is said to be a piece of the state. */
export type ToldEvent = { pdu: unknown; isState: boolean }

/** Takes the events of an answer as they arrive. */
export type EventIntake = {
  /** Verifies some; returns as soon as it may be handed more. */
  add(told: readonly ToldEvent[]): Promise<void>
  /** Waits until all have been verified. */
  end(): Promise<void>
}

/** Nothing has been received yet. The caller closes the spool. */
export function emptyReceived(): ReceivedEvents {
  return { events: new Map(), state: new Set(), spool: createSpool() }
}

/**
 * Verifies events of a room in batches and adds them, each once, to those that were received. Those that are not what
 * their servers signed are left out, as are those of other rooms. While the signatures of one batch are checked, and
 * those of a second one wait for their turn, the next one may arrive.
 */
export function createEventIntake(
  app: Pick<App, 'keyRing' | 'logger'>,
  room: { version: RoomVersion; roomId: RoomId; server: ServerName },
  received: ReceivedEvents,
): EventIntake {
  const intern = createInterner()
  let [last, beforeLast] = [Promise.resolve(), Promise.resolve()]

  async function take(told: readonly ToldEvent[], after: Promise<void>): Promise<void> {
    // The order is kept, and the spool takes one batch at a time.
    const [events] = await Promise.all([verifiedOf(app, room, told), after])
    for (const { event, isState } of events) {
      if (isState && event.pdu.state_key !== undefined) received.state.add(intern(event.event_id))
    }
    await addReceived(received, room.roomId, { events: events.map(({ event }) => event), intern })
  }

  return {
    async add(told) {
      await beforeLast
      beforeLast = last
      last = take(told, beforeLast)
      // Handled where it is awaited.
      last.catch(() => {})
    },
    end: () => last,
  }
}

async function verifiedOf(
  app: Pick<App, 'keyRing' | 'logger'>,
  { version, roomId, server }: { version: RoomVersion; roomId: RoomId; server: ServerName },
  told: readonly ToldEvent[],
): Promise<{ event: Event; isState: boolean }[]> {
  const verified = await verifyEvents(
    app,
    version,
    told.map(({ pdu }) => pdu),
  )
  const reasons: string[] = []
  const events = verified.flatMap((result, place) => {
    if (result.ok && result.event.room_id === roomId) return { event: result.event, isState: told[place]!.isState }
    reasons.push(result.ok ? 'It is of another room' : result.reason)
    return []
  })
  if (reasons.length > 0) {
    const found = { server, room_id: roomId, events: reasons.length, reason: reasons[0] }
    app.logger.warn(found, 'events of the state of a room are left out')
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

/** Keeps one string for each id, however often it is mentioned. */
function createInterner(): (id: EventId) => EventId {
  const known = new Map<EventId, EventId>()
  return (id) => {
    const first = known.get(id)
    if (first === undefined) known.set(id, id)
    return first ?? id
  }
}

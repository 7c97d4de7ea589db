import type { App } from '../../../app.ts'
import { checkAuthEvents } from '../../../core/auth-rules/check-auth-events.ts'
import { type AuthState, checkEventAuth } from '../../../core/auth-rules/check-event-auth.ts'
import { createEventIdOf, type EventId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { topologicalOrder } from '../../../core/rooms/topological-order.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { type Outlier, storeOutliers } from '../../../storage/rooms/timeline/outliers.ts'

/**
 * Checks verified events against their auth events, in topological order, and stores them as outliers, rejected ones
 * too. Events with unavailable auth events are left out.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu (4)
 */
export async function storeReferencedEvents(
  app: Pick<App, 'database' | 'takeNids'>,
  version: RoomVersion,
  events: readonly Event[],
): Promise<void> {
  const known = await loadReferenced(app, events)
  const fresh = new Map(events.filter(({ event_id }) => !known.has(event_id)).map((event) => [event.event_id, event]))
  const judged: Outlier[] = []
  for (const event of topologicalOrder(fresh, authEventIdsOf)) {
    const needed = authEventIdsOf(event).map((id) => known.get(id))
    if (needed.includes(undefined)) continue
    const outlier = judge(version, event, needed as Event[])
    known.set(outlier.event_id, outlier)
    judged.push(outlier)
  }
  if (judged.length > 0) await app.database.write((tx) => storeOutliers(tx, app.takeNids, judged))
}

/** Returns the events needed to check an event; since room version 12 the room ID references the create event. */
function authEventIdsOf(event: Event): EventId[] {
  if (event.pdu.type === 'm.room.create') return []
  const createId = createEventIdOf(event.room_id)
  return createId === undefined ? [...event.auth_event_ids] : [...event.auth_event_ids, createId]
}

async function loadReferenced(app: Pick<App, 'database'>, events: readonly Event[]): Promise<Map<EventId, Event>> {
  const ids = new Set(events.flatMap((event) => [event.event_id, ...authEventIdsOf(event)]))
  const stored = await loadEventsById(app.database, [...ids])
  return new Map(stored.map((event) => [event.event_id, event]))
}

function judge(version: RoomVersion, event: Event, needed: readonly Event[]): Outlier {
  const authEvents = needed.filter(({ event_id }) => event.auth_event_ids.includes(event_id))
  const byAuthEvents = checkAuthEvents(version, event, authEvents)
  const verdict = byAuthEvents.allowed ? checkEventAuth(version, event, stateOf(needed)) : byAuthEvents
  if (verdict.allowed) return event
  const reason = `by its auth events: ${verdict.rule} ${verdict.reason}`
  return { ...event, rejected: true, rejected_reason: reason }
}

function stateOf(events: readonly Event[]): AuthState {
  const byKey = new Map(events.map((event) => [`${event.pdu.type}\0${event.pdu.state_key}`, event]))
  return { get: (type, stateKey) => byKey.get(`${type}\0${stateKey}`) }
}

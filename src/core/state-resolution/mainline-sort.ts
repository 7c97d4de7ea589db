import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { authEventOf } from './auth-event-of.ts'
import type { EventLookup } from './event-lookup.ts'
import { compareByTime } from './event-order.ts'

/**
 * The mainline ordering based on an `m.room.power_levels` event: events that depend on the oldest power levels come
 * first. https://spec.matrix.org/v1.19/rooms/v2/#definitions
 */
export function mainlineSort(
  powerLevelsEvent: Event | undefined,
  events: readonly Event[],
  lookup: EventLookup,
): Event[] {
  const positions = mainlinePositions(powerLevelsEvent, lookup)
  const placed = events.map((event) => ({ event, position: mainlinePosition(event, positions, lookup) }))
  placed.sort((a, b) => {
    // Infinity − Infinity is not a number.
    if (a.position !== b.position) return b.position > a.position ? 1 : -1
    return compareByTime(a.event, b.event)
  })
  return placed.map(({ event }) => event)
}

/** Returns the positions of the mainline's events; the given power levels have position 0. */
function mainlinePositions(powerLevelsEvent: Event | undefined, lookup: EventLookup): Map<EventId, number> {
  const positions = new Map<EventId, number>()
  // An event id is already present only if servers created a cycle, which is possible in versions 1 and 2.
  for (let event = powerLevelsEvent; event !== undefined && !positions.has(event.event_id); ) {
    positions.set(event.event_id, positions.size)
    event = authEventOf(event, 'm.room.power_levels', '', lookup)
  }
  return positions
}

/**
 * Returns the mainline position of an event. Records it in `positions` for all power levels on the path, so that none
 * is visited twice.
 */
function mainlinePosition(event: Event, positions: Map<EventId, number>, lookup: EventLookup): number {
  const walked = new Set<EventId>()
  let levels = authEventOf(event, 'm.room.power_levels', '', lookup)
  while (levels !== undefined && !positions.has(levels.event_id) && !walked.has(levels.event_id)) {
    walked.add(levels.event_id)
    levels = authEventOf(levels, 'm.room.power_levels', '', lookup)
  }
  const position = (levels && positions.get(levels.event_id)) ?? Number.POSITIVE_INFINITY
  for (const id of walked) positions.set(id, position)
  return position
}

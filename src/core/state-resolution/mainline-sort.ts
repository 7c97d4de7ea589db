import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { authEventOf } from './auth-event-of.ts'
import type { EventLookup } from './event-lookup.ts'
import { compareByTime } from './event-order.ts'

/**
 * The mainline ordering based on an `m.room.power_levels` event: first the events that build on the oldest power levels.
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
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

/** The places of the mainline's events, the power levels that it starts with being 0. */
function mainlinePositions(powerLevelsEvent: Event | undefined, lookup: EventLookup): Map<EventId, number> {
  const positions = new Map<EventId, number>()
  // An event id is in it already only if servers made a circle, as they can in versions 1 and 2.
  for (let event = powerLevelsEvent; event !== undefined && !positions.has(event.event_id); ) {
    positions.set(event.event_id, positions.size)
    event = authEventOf(event, 'm.room.power_levels', '', lookup)
  }
  return positions
}

/** The place in the mainline that an event builds on. Notes it in `positions` for all power levels on the way, so that none is walked twice. */
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

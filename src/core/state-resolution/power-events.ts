import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { type EventLookup, findAll } from './event-lookup.ts'

/**
 * The events that are resolved first: power events of the full conflicted set, and what of it is in their auth chains. Step 1 of
 * https://spec.matrix.org/v1.19/rooms/v2/#algorithm
 *
 * By the letter that is the whole auth chain. Other servers look no further where it leaves the full conflicted set, and what a room is has to be the
 * same on all of them; docs/federation-with-synapse.md says more.
 */
export function selectPowerEvents(fullConflictedSet: ReadonlySet<EventId>, lookup: EventLookup): Event[] {
  const power = new Map<EventId, Event>()
  const stack = findAll(fullConflictedSet, lookup).filter(isPowerEvent)
  for (let event = stack.pop(); event !== undefined; event = stack.pop()) {
    if (power.has(event.event_id)) continue
    power.set(event.event_id, event)
    const cited = event.auth_event_ids.filter((id) => fullConflictedSet.has(id) && !power.has(id))
    stack.push(...findAll(cited, lookup))
  }
  return [...power.values()]
}

/** Whether an event might take away someone's ability to do something: https://spec.matrix.org/v1.19/rooms/v2/#definitions */
function isPowerEvent({ pdu: { type, state_key: stateKey, sender, content } }: Event): boolean {
  if (stateKey === undefined) return false
  if (type === 'm.room.power_levels' || type === 'm.room.join_rules') return true
  const isRemoval = content.membership === 'leave' || content.membership === 'ban'
  return type === 'm.room.member' && isRemoval && sender !== stateKey
}

import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { type EventLookup, findAll } from './event-lookup.ts'

/**
 * Returns the events that are resolved first: power events of the full conflicted set, and their auth events within it.
 * Step 1 of https://spec.matrix.org/v1.19/rooms/v2/#algorithm
 *
 * Taken literally that is the whole auth chain. Other servers stop where it leaves the full conflicted set, and all
 * servers must resolve a room alike; see docs/federation-with-synapse.md.
 */
export function selectPowerEvents(fullConflictedSet: ReadonlySet<EventId>, lookup: EventLookup): Event[] {
  const power = new Map<EventId, Event>()
  const stack = findAll(fullConflictedSet, lookup).filter(isPowerEvent)
  for (let event = stack.pop(); event !== undefined; event = stack.pop()) {
    if (power.has(event.event_id)) continue
    power.set(event.event_id, event)
    const authIds = event.auth_event_ids.filter((id) => fullConflictedSet.has(id) && !power.has(id))
    stack.push(...findAll(authIds, lookup))
  }
  return [...power.values()]
}

/** Whether an event may remove a user's ability to do something: https://spec.matrix.org/v1.19/rooms/v2/#definitions */
function isPowerEvent({ pdu: { type, state_key: stateKey, sender, content } }: Event): boolean {
  if (stateKey === undefined) return false
  if (type === 'm.room.power_levels' || type === 'm.room.join_rules') return true
  const isRemoval = content.membership === 'leave' || content.membership === 'ban'
  return type === 'm.room.member' && isRemoval && sender !== stateKey
}

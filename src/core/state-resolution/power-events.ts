import type { Event } from '../events/pdu.ts'
import type { EventId } from '../ids.ts'
import { authChain } from './auth-chain.ts'
import { type EventLookup, findAll } from './event-lookup.ts'

/**
 * The events that are resolved first: power events of the full conflicted set, and what of it is in their auth chains. Step 1 of
 * https://spec.matrix.org/v1.19/rooms/v2/#algorithm
 */
export function selectPowerEvents(fullConflictedSet: ReadonlySet<EventId>, lookup: EventLookup): Event[] {
  const power = new Set<EventId>()
  for (const event of findAll(fullConflictedSet, lookup)) if (isPowerEvent(event)) power.add(event.event_id)
  const chain = authChain(power, lookup)
  for (const id of chain) if (fullConflictedSet.has(id)) power.add(id)
  return findAll(power, lookup)
}

/** Whether an event might take away someone's ability to do something: https://spec.matrix.org/v1.19/rooms/v2/#definitions */
function isPowerEvent({ pdu: { type, state_key: stateKey, sender, content } }: Event): boolean {
  if (stateKey === undefined) return false
  if (type === 'm.room.power_levels' || type === 'm.room.join_rules') return true
  const isRemoval = content.membership === 'leave' || content.membership === 'ban'
  return type === 'm.room.member' && isRemoval && sender !== stateKey
}

import type { EventId } from '../ids.ts'
import type { EventLookup } from './event-lookup.ts'

/**
 * Returns all events reachable from some events through `auth_events`; these themselves are included only if another
 * one references them. https://spec.matrix.org/v1.19/rooms/v2/#definitions
 */
export function authChain(of: Iterable<EventId>, lookup: EventLookup): Set<EventId> {
  const chain = new Set<EventId>()
  const stack = [...of]
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    for (const authId of lookup.find(id)?.auth_event_ids ?? []) {
      if (chain.has(authId)) continue
      chain.add(authId)
      stack.push(authId)
    }
  }
  return chain
}

import type { EventId } from '../ids.ts'
import type { EventLookup } from './event-lookup.ts'

/**
 * Every event that can be reached from some events by `auth_events`; these themselves are in it only if another leads to them.
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
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

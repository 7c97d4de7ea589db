import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { authChain } from './auth-chain.ts'
import type { EventLookup } from './event-lookup.ts'
import type { Partition } from './partition.ts'
import type { StateMap } from './state-map.ts'

/**
 * Returns the events in the auth chains of conflicted events of some states but not all, without those in `known`.
 * Unconflicted state, with its auth chain, is in the full auth chain of every state. So the auth difference is the
 * result without the events that `removeShared` removes.
 *
 * Taken literally (https://spec.matrix.org/v1.19/rooms/v2/#definitions), a state's full auth chain contains an event of
 * this state only if another one references it. Synapse includes the state itself, and all servers must resolve a room
 * alike; see docs/federation-with-synapse.md.
 */
export function differingEvents(
  stateSets: readonly StateMap[],
  { conflicts }: Partition,
  known: ReadonlySet<EventId>,
  lookup: EventLookup,
): Set<EventId> {
  const counts = new Map<EventId, number>()
  for (const states of stateSets) {
    const conflicted = [...conflicts.keys()].map((key) => states.get(key)).filter((id) => id !== undefined)
    for (const id of authChain(conflicted, lookup)) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const events = new Set<EventId>()
  for (const [id, count] of counts) if (count < stateSets.length && !known.has(id)) events.add(id)
  return events
}

/** Removes `shared` and all events in their auth chains; stops as soon as none are left. */
export function removeShared(events: Set<EventId>, shared: Iterable<Event>, lookup: EventLookup): void {
  const visited = new Set<EventId>()
  const stack: Event[] = []
  for (const root of shared) {
    events.delete(root.event_id)
    stack.push(root)
    for (let event = stack.pop(); event !== undefined && events.size > 0; event = stack.pop()) {
      if (visited.has(event.event_id)) continue
      visited.add(event.event_id)
      for (const authId of event.auth_event_ids) {
        events.delete(authId)
        const authEvent = visited.has(authId) ? undefined : lookup.find(authId)
        if (authEvent !== undefined) stack.push(authEvent)
      }
    }
  }
}

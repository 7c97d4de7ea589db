import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import { authChain } from './auth-chain.ts'
import type { EventLookup } from './event-lookup.ts'
import type { Partition } from './partition.ts'
import type { StateMap } from './state-map.ts'

/**
 * The events that are in the auth chain of conflicted events of some states, but not of every one, without those in `known`. What all states
 * have in common is itself, with its auth chain, in every state's, so the auth difference is these less what `removeShared` removes.
 *
 * By the letter (https://spec.matrix.org/v1.19/rooms/v2/#definitions) a state's full auth chain has an event of this state only if another one
 * cites it: what all states have would be in the difference if something in only some of them cites it. Synapse counts the state itself in, and
 * what a room is has to be the same on all its servers; docs/federation-with-synapse.md says more.
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

/** Removes `shared` and the events that are in the auth chain of any of them, and stops as soon as none are left. */
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

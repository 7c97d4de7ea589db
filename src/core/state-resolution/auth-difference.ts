import type { EventId } from '../ids.ts'
import { authChain } from './auth-chain.ts'
import type { EventLookup } from './event-lookup.ts'
import type { Partition } from './partition.ts'
import type { StateMap } from './state-map.ts'

/** The auth difference, as far as it can be told. */
export type AuthDifference = {
  /** All that is in it, and, as long as `unsearched` is not empty, maybe more. */
  events: ReadonlySet<EventId>
  /** Events of the unconflicted state that are not at hand, whose auth chains may have some of `events` in them. */
  unsearched: readonly EventId[]
}

/**
 * The auth difference, without those events that are in `known` anyway: all that are in the auth chain of some state but not of every one.
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 *
 * What all states have in common has its auth chain in every state's. So only chains of conflicted events are compared, and what they differ
 * in is then looked for in those of the unconflicted state, of which only what is at hand is searched: it may be that of many thousand members.
 */
export function authDifference(
  stateSets: readonly StateMap[],
  { unconflicted, conflicts }: Partition,
  known: ReadonlySet<EventId>,
  lookup: EventLookup,
): AuthDifference {
  const counts = new Map<EventId, number>()
  for (const states of stateSets) {
    const conflicted = [...conflicts.keys()].map((key) => states.get(key)).filter((id) => id !== undefined)
    for (const id of authChain(conflicted, lookup)) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const events = new Set<EventId>()
  for (const [id, count] of counts) if (count < stateSets.length && !known.has(id)) events.add(id)
  const unsearched = removeChains(events, unconflicted.values(), lookup)
  return { events, unsearched: events.size > 0 ? unsearched : [] }
}

/** Removes the events that are in the auth chain of any of `roots`, until none are left; gives the roots that are not at hand. */
function removeChains(events: Set<EventId>, roots: Iterable<EventId>, lookup: EventLookup): EventId[] {
  const visited = new Set<EventId>()
  const stack: EventId[] = []
  const absent: EventId[] = []
  for (const root of roots) {
    if (events.size === 0) return []
    if (!lookup.has(root)) absent.push(root)
    else if (!visited.has(root)) stack.push(root)
    for (let id = stack.pop(); id !== undefined && events.size > 0; id = stack.pop()) {
      visited.add(id)
      for (const authId of lookup.find(id)?.auth_event_ids ?? []) {
        events.delete(authId)
        if (!visited.has(authId)) stack.push(authId)
      }
    }
  }
  return absent
}

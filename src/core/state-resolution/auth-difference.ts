import type { EventId } from '../ids.ts'
import { authChain } from './auth-chain.ts'
import type { EventLookup } from './event-lookup.ts'
import type { Partition } from './partition.ts'
import type { StateMap } from './state-map.ts'

/** How many events of the unconflicted state are asked for at first; each further round asks for so many times as many as are at hand. */
const FIRST_BATCH = 64
const BATCH_GROWTH = 8

/**
 * The auth difference, without those events that are in `known` anyway: all that are in the auth chain of some state but not of every one.
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 *
 * What all states have in common has its auth chain in every state's. So only chains of conflicted events are walked at first, and the
 * unconflicted state (perhaps of many thousand members) only for as long as it is open whether one of their events is in its chain too.
 */
export function authDifference(
  stateSets: readonly StateMap[],
  { unconflicted, conflicts }: Partition,
  known: ReadonlySet<EventId>,
  lookup: EventLookup,
): Set<EventId> {
  const counts = new Map<EventId, number>()
  for (const states of stateSets) {
    const conflicted = [...conflicts.keys()].map((key) => states.get(key)).filter((id) => id !== undefined)
    for (const id of authChain(conflicted, lookup)) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const difference = new Set<EventId>()
  for (const [id, count] of counts) if (count < stateSets.length && !known.has(id)) difference.add(id)
  if (lookup.missing.size === 0) removeChain(difference, unconflicted.values(), lookup)
  return difference
}

/** Removes the events that are in the auth chain of any of `roots`, and stops as soon as none are left. */
function removeChain(events: Set<EventId>, roots: Iterable<EventId>, lookup: EventLookup): void {
  const visited = new Set<EventId>()
  const absent: EventId[] = []
  for (const root of roots) {
    if (events.size === 0) return
    if (lookup.has(root)) walk(root)
    else absent.push(root)
  }
  const batch = Math.max(FIRST_BATCH, visited.size * BATCH_GROWTH)
  if (events.size > 0) for (const root of absent.slice(0, batch)) lookup.find(root)

  function walk(root: EventId): void {
    const stack = [root]
    for (let id = stack.pop(); id !== undefined && events.size > 0; id = stack.pop()) {
      if (visited.has(id)) continue
      visited.add(id)
      for (const authId of lookup.find(id)?.auth_event_ids ?? []) {
        events.delete(authId)
        if (!visited.has(authId)) stack.push(authId)
      }
    }
  }
}

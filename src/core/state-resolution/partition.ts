import type { EventId } from '../ids.ts'
import type { StateMap } from './state-map.ts'

/** What several states agree about, and what not. */
export type Partition = {
  unconflicted: StateMap
  /** For each key, the events that any of the states has for it. */
  conflicts: ReadonlyMap<string, ReadonlySet<EventId>>
}

/**
 * The unconflicted state map and the conflicted state set, by key. A key that some states lack is conflicted since version 2 of the algorithm
 * and was not in version 1 (`absence`). https://spec.matrix.org/v1.19/rooms/v2/#definitions
 */
export function partition(stateSets: readonly StateMap[], absence: 'conflicts' | 'agrees'): Partition {
  const unconflicted = new Map<string, EventId>()
  const conflicts = new Map<string, Set<EventId>>()
  for (const [index, states] of stateSets.entries()) {
    for (const [key, id] of states) {
      if (conflicts.get(key)?.add(id) !== undefined) continue
      const known = unconflicted.get(key)
      if (known === id) continue
      if (known === undefined && (index === 0 || absence === 'agrees')) {
        unconflicted.set(key, id)
      } else {
        unconflicted.delete(key)
        conflicts.set(key, new Set(known === undefined ? [id] : [known, id]))
      }
    }
  }
  if (absence === 'conflicts') moveAbsent(stateSets, unconflicted, conflicts)
  return { unconflicted, conflicts }
}

/** Makes conflicts of the keys that not every state has. */
function moveAbsent(
  stateSets: readonly StateMap[],
  unconflicted: Map<string, EventId>,
  conflicts: Map<string, Set<EventId>>,
): void {
  for (const states of stateSets) {
    // Mostly no key is absent, which counting tells faster than looking for each of perhaps many thousand members.
    const conflicted = conflicts.keys().filter((key) => states.has(key))
    if (states.size - [...conflicted].length === unconflicted.size) continue
    for (const [key, id] of unconflicted) {
      if (states.has(key)) continue
      unconflicted.delete(key)
      conflicts.set(key, new Set([id]))
    }
  }
}

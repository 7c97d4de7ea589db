import type { EventId } from '../ids.ts'
import type { StateMap } from './state-map.ts'

/** The unconflicted and the conflicted part of several states. */
export type Partition = {
  /** A new map, which the caller may change. */
  unconflicted: Map<string, EventId>
  /** For each key, the events that the states have for it. */
  conflicts: ReadonlyMap<string, ReadonlySet<EventId>>
}

/**
 * Returns the unconflicted state map and the conflicted state set, by key. A key that some states lack is conflicted
 * since version 2 of the algorithm, but not in version 1 (`absence`).
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 */
export function partition(stateSets: readonly StateMap[], absence: 'conflicts' | 'agrees'): Partition {
  const [first = new Map<string, EventId>(), ...others] = stateSets
  const conflicts = new Map<string, Set<EventId>>()
  for (const states of others) compare(first, states, conflicts)
  const unconflicted = new Map(first)
  for (const [key, ids] of conflicts) {
    const [only, another] = ids
    if (absence === 'agrees' && another === undefined) {
      unconflicted.set(key, only!)
      conflicts.delete(key)
    } else {
      unconflicted.delete(key)
    }
  }
  return { unconflicted, conflicts }
}

/**
 * Records the keys for which a state differs from the first one. Nearly all of possibly many thousand keys are equal;
 * these take one look-up each.
 */
function compare(first: StateMap, states: StateMap, conflicts: Map<string, Set<EventId>>): void {
  let shared = 0
  for (const [key, id] of states) {
    const known = first.get(key)
    if (known !== undefined) shared++
    if (known !== id) note(conflicts, key, known === undefined ? [id] : [known, id])
  }
  if (shared === first.size) return
  for (const [key, id] of first) if (!states.has(key)) note(conflicts, key, [id])
}

function note(conflicts: Map<string, Set<EventId>>, key: string, ids: readonly EventId[]): void {
  const noted = conflicts.get(key)
  if (noted === undefined) conflicts.set(key, new Set(ids))
  else for (const id of ids) noted.add(id)
}

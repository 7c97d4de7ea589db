import type { EventId } from '../ids.ts'
import { authChain } from './auth-chain.ts'
import type { EventLookup } from './event-lookup.ts'

/**
 * Returns the conflicted state subgraph: all events on paths through `auth_events` from one conflicted event to
 * another, that is, events reachable from one that also lead to one.
 * https://spec.matrix.org/v1.19/rooms/v12/#definitions
 */
export function conflictedSubgraph(conflicted: ReadonlySet<EventId>, lookup: EventLookup): Set<EventId> {
  const citing = referencesTo([...conflicted, ...authChain(conflicted, lookup)], lookup)
  const subgraph = new Set(conflicted)
  const stack = [...conflicted]
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    for (const citingId of citing.get(id) ?? []) {
      if (subgraph.has(citingId)) continue
      subgraph.add(citingId)
      stack.push(citingId)
    }
  }
  return subgraph
}

/** Returns for each event those of `ids` that list it in `auth_events`. */
function referencesTo(ids: Iterable<EventId>, lookup: EventLookup): Map<EventId, EventId[]> {
  const citing = new Map<EventId, EventId[]>()
  for (const id of new Set(ids)) {
    for (const authId of lookup.find(id)?.auth_event_ids ?? []) {
      const list = citing.get(authId)
      if (list === undefined) citing.set(authId, [id])
      else list.push(id)
    }
  }
  return citing
}

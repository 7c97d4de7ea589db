import { authEventKeys } from '../auth-rules/auth-event-keys.ts'
import type { Event } from '../events/pdu.ts'
import type { EventId } from '../ids.ts'
import type { RoomVersion } from '../room-versions.ts'
import { type AuthDifference, authDifference } from './auth-difference.ts'
import { createOf } from './auth-event-of.ts'
import { conflictedSubgraph } from './conflicted-subgraph.ts'
import { type EventLookup, findAll } from './event-lookup.ts'
import { type Partition, partition } from './partition.ts'
import { POWER_LEVELS, resolveConflicts } from './resolve-conflicts.ts'
import { type StateMap, stateKeyId } from './state-map.ts'

/** How many open questions about the auth difference are answered by trying both ways. */
const MAX_TRIED = 4
/** How many events of the unconflicted state are asked for at once: at first, and after that in relation to those at hand. */
const FIRST_BATCH = 64
const BATCH_GROWTH = 8

/**
 * State resolution of room versions 2 to 11 (https://spec.matrix.org/v1.19/rooms/v2/#state-resolution) and of version 12, 2.1 by name
 * (https://spec.matrix.org/v1.19/rooms/v12/#state-resolution). `undefined` as soon as events turn out to be missing.
 */
export function resolveV2(
  version: RoomVersion,
  stateSets: readonly StateMap[],
  lookup: EventLookup,
): StateMap | undefined {
  const parts = partition(stateSets, 'conflicts')
  if (parts.conflicts.size === 0) return parts.unconflicted
  const known = knownConflictedSet(version, parts, lookup)
  const difference = authDifference(stateSets, parts, known, lookup)
  const base: StateMap = version.stateResolution === 'v2.1' ? new Map() : parts.unconflicted
  requestBase(version, base, findAll([...known, ...difference.events], lookup), lookup)
  if (lookup.missing.size > 0) return undefined
  const outcome = (differing: Iterable<EventId>) =>
    withUnconflicted(resolveConflicts({ version, full: new Set([...known, ...differing]), base, lookup }), parts)
  const changes = outcome(difference.events)
  if (!isSettled(difference, changes, outcome)) requestUnsearched(difference, parts, lookup)
  if (lookup.missing.size > 0) return undefined
  return new Map([...parts.unconflicted, ...changes])
}

/** The full conflicted set without the auth difference: https://spec.matrix.org/v1.19/rooms/v12/#definitions */
function knownConflictedSet(version: RoomVersion, { conflicts }: Partition, lookup: EventLookup): Set<EventId> {
  const conflicted = new Set<EventId>()
  for (const ids of conflicts.values()) for (const id of ids) conflicted.add(id)
  return version.stateResolution === 'v2.1' ? conflictedSubgraph(conflicted, lookup) : conflicted
}

/** Asks for what the auth checks will want of the state that they start from, so that it is missed now and not one by one. */
function requestBase(version: RoomVersion, base: StateMap, events: readonly Event[], lookup: EventLookup): void {
  const keys = new Set([POWER_LEVELS])
  for (const { pdu } of events) {
    for (const key of authEventKeys(version, pdu)) keys.add(stateKeyId(key.type, key.state_key))
  }
  const ids = [...keys].map((key) => base.get(key)).filter((id) => id !== undefined)
  findAll(ids, lookup)
  if (version.roomIdIsCreateHash && events[0] !== undefined) createOf(version, events[0], lookup)
}

/** Step 5, only that the unconflicted state is not copied yet: it goes before all that was resolved. */
function withUnconflicted(changes: StateMap, { unconflicted }: Partition): StateMap {
  return new Map([...changes].filter(([key]) => !unconflicted.has(key)))
}

/**
 * Whether the outcome is the same whatever the unsearched part of the unconflicted state holds. Mostly it is, for the open question is
 * whether, say, the current power levels are in the auth difference, and finding out would take every member.
 */
function isSettled(
  { events, unsearched }: AuthDifference,
  expected: StateMap,
  outcome: (differing: EventId[]) => StateMap,
): boolean {
  if (unsearched.length === 0) return true
  if (events.size > MAX_TRIED) return false
  const open = [...events]
  for (let chosen = 0; chosen < 2 ** open.length - 1; chosen++) {
    const differing = open.filter((_, index) => (chosen >> index) & 1)
    if (!isSame(outcome(differing), expected)) return false
  }
  return true
}

function isSame(a: StateMap, b: StateMap): boolean {
  return a.size === b.size && a.entries().every(([key, id]) => b.get(key) === id)
}

/** Asks for some more of the unconflicted state, each time for many times as much as before. */
function requestUnsearched({ unsearched }: AuthDifference, { unconflicted }: Partition, lookup: EventLookup): void {
  const atHand = unconflicted.size - unsearched.length
  findAll(unsearched.slice(0, Math.max(FIRST_BATCH, atHand * BATCH_GROWTH)), lookup)
}

import { authEventKeys } from '../auth-rules/auth-event-keys.ts'
import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { differingEvents, removeShared } from './auth-difference.ts'
import { createOf } from './auth-event-of.ts'
import { conflictedSubgraph } from './conflicted-subgraph.ts'
import { type EventLookup, findAll } from './event-lookup.ts'
import { type Partition, partition } from './partition.ts'
import { POWER_LEVELS, resolveConflicts } from './resolve-conflicts.ts'
import { type StateMap, stateKeyId } from './state-map.ts'

/** Up to this number of events, try first whether their presence in the auth difference matters. */
const MAX_TRIED = 4
/**
 * The number of unconflicted events to request in the first batch; later batches grow with the number of loaded events.
 */
const FIRST_BATCH = 64
const BATCH_GROWTH = 8

/**
 * State resolution of room versions 2 to 11 (https://spec.matrix.org/v1.19/rooms/v2/#state-resolution) and of version
 * 12, named 2.1 (https://spec.matrix.org/v1.19/rooms/v12/#state-resolution). `undefined` as soon as events are missing.
 */
export function resolveV2(
  version: RoomVersion,
  stateSets: readonly StateMap[],
  lookup: EventLookup,
): StateMap | undefined {
  const parts = partition(stateSets, 'conflicts')
  const { unconflicted, conflicts } = parts
  if (conflicts.size === 0) return unconflicted
  const known = knownConflictedSet(version, parts, lookup)
  const differing = differingEvents(stateSets, parts, known, lookup)
  // Starts with the events that need no search, which are often sufficient: for instance the current power levels and
  // their auth events.
  const current = findAll(differing, lookup).filter((event) => unconflicted.get(keyOf(event)) === event.event_id)
  removeShared(differing, current, lookup)
  const base: StateMap = version.stateResolution === 'v2.1' ? new Map() : unconflicted
  requestBase(version, base, findAll([...known, ...differing], lookup), lookup)
  if (lookup.missing.size > 0) return undefined
  const outcome = (difference: Iterable<EventId>) =>
    withoutKeys(resolveConflicts({ version, full: new Set([...known, ...difference]), base, lookup }), unconflicted)
  const changes = outcomeOfAnyPart(differing, outcome) ?? outcomeOfSearch(differing, unconflicted, { outcome, lookup })
  if (lookup.missing.size > 0) return undefined
  // Step 5, reversed: the unconflicted state is our own copy and may be large.
  for (const [key, id] of changes) unconflicted.set(key, id)
  return unconflicted
}

/** The full conflicted set without the auth difference: https://spec.matrix.org/v1.19/rooms/v12/#definitions */
function knownConflictedSet(version: RoomVersion, { conflicts }: Partition, lookup: EventLookup): Set<EventId> {
  const conflicted = new Set<EventId>()
  for (const ids of conflicts.values()) for (const id of ids) conflicted.add(id)
  return version.stateResolution === 'v2.1' ? conflictedSubgraph(conflicted, lookup) : conflicted
}

/**
 * Requests the part of the base that the auth checks need, so that it is loaded in one query and not event by event.
 */
function requestBase(version: RoomVersion, base: StateMap, events: readonly Event[], lookup: EventLookup): void {
  const keys = new Set([POWER_LEVELS])
  for (const { pdu } of events) {
    for (const key of authEventKeys(version, pdu)) keys.add(stateKeyId(key.type, key.state_key))
  }
  const ids = [...keys].map((key) => base.get(key)).filter((id) => id !== undefined)
  findAll(ids, lookup)
  if (version.roomIdIsCreateHash && events[0] !== undefined) createOf(version, events[0], lookup)
}

/**
 * Returns the result of the conflicts if it is the same for every subset of the differing events; otherwise
 * `undefined`. Usually it is the same: the question is only whether, for instance, the current power levels are in the
 * difference, and the answer would require every member.
 */
function outcomeOfAnyPart(differing: ReadonlySet<EventId>, outcome: Outcome): StateMap | undefined {
  if (differing.size > MAX_TRIED) return undefined
  const events = [...differing]
  const expected = outcome(events)
  for (let chosen = 0; chosen < 2 ** events.length - 1; chosen++) {
    const part = events.filter((_, index) => (chosen >> index) & 1)
    if (!isSame(outcome(part), expected)) return undefined
  }
  return expected
}

/**
 * Returns the result of the conflicts once the auth difference is known. Requests more of the unconflicted state if it
 * is not completely loaded.
 */
function outcomeOfSearch(
  differing: Set<EventId>,
  unconflicted: StateMap,
  { outcome, lookup }: { outcome: Outcome; lookup: EventLookup },
): StateMap {
  const atHand: Event[] = []
  const absent: EventId[] = []
  for (const id of unconflicted.values()) {
    const event = lookup.peek(id)
    if (event === undefined) absent.push(id)
    else atHand.push(event)
  }
  removeShared(differing, atHand, lookup)
  if (differing.size > 0) findAll(absent.slice(0, Math.max(FIRST_BATCH, atHand.length * BATCH_GROWTH)), lookup)
  return lookup.missing.size > 0 ? new Map() : outcome(differing)
}

/** The result of the conflicts for a given auth difference. */
type Outcome = (difference: Iterable<EventId>) => StateMap

function keyOf({ pdu }: Event): string {
  return stateKeyId(pdu.type, pdu.state_key ?? '')
}

function withoutKeys(changes: StateMap, keys: StateMap): StateMap {
  return new Map([...changes].filter(([key]) => !keys.has(key)))
}

function isSame(a: StateMap, b: StateMap): boolean {
  return a.size === b.size && a.entries().every(([key, id]) => b.get(key) === id)
}

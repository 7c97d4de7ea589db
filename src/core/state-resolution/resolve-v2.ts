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

/** Of how many events it is tried out first whether their being in the auth difference matters. */
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
  const { unconflicted, conflicts } = parts
  if (conflicts.size === 0) return unconflicted
  const known = knownConflictedSet(version, parts, lookup)
  const differing = differingEvents(stateSets, parts, known, lookup)
  // First by those that can be told without a search, which are often all that matter: the current power levels, say, and what led to them.
  const current = findAll(differing, lookup).filter((event) => unconflicted.get(keyOf(event)) === event.event_id)
  removeShared(differing, current, lookup)
  const base: StateMap = version.stateResolution === 'v2.1' ? new Map() : unconflicted
  requestBase(version, base, findAll([...known, ...differing], lookup), lookup)
  if (lookup.missing.size > 0) return undefined
  const outcome = (difference: Iterable<EventId>) =>
    withoutKeys(resolveConflicts({ version, full: new Set([...known, ...difference]), base, lookup }), unconflicted)
  const changes = outcomeOfAnyPart(differing, outcome) ?? outcomeOfSearch(differing, unconflicted, { outcome, lookup })
  if (lookup.missing.size > 0) return undefined
  // 5, the other way round, for the unconflicted state is our own copy and may be large.
  for (const [key, id] of changes) unconflicted.set(key, id)
  return unconflicted
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

/**
 * What the conflicts resolve to, if that is the same for whatever part of the differing events the auth difference may be; else `undefined`.
 * Mostly it is, for the question is whether, say, the current power levels are in the difference, and finding out would take every member.
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

/** What the conflicts resolve to once the auth difference is known. If the unconflicted state is not all at hand, asks for more of it. */
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

/** What the conflicts resolve to if the auth difference is this. */
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

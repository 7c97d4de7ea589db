import { authEventKeys } from '../auth-rules/auth-event-keys.ts'
import type { Event } from '../events/pdu.ts'
import type { EventId } from '../ids.ts'
import type { RoomVersion } from '../room-versions.ts'
import { authDifference } from './auth-difference.ts'
import { createOf } from './auth-event-of.ts'
import { conflictedSubgraph } from './conflicted-subgraph.ts'
import { type EventLookup, findAll } from './event-lookup.ts'
import { iterativeAuthChecks } from './iterative-auth-checks.ts'
import { mainlineSort } from './mainline-sort.ts'
import { type Partition, partition } from './partition.ts'
import { selectPowerEvents } from './power-events.ts'
import { powerSort } from './power-sort.ts'
import { type StateMap, stateKeyId } from './state-map.ts'

const POWER_LEVELS = stateKeyId('m.room.power_levels', '')

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
  const full = fullConflictedSet(version, stateSets, parts, lookup)
  const base = version.stateResolution === 'v2.1' ? new Map() : parts.unconflicted
  requestBase(version, base, findAll(full, lookup), lookup)
  if (lookup.missing.size > 0) return undefined
  // 1
  const powerEvents = powerSort(version, selectPowerEvents(full, lookup), lookup)
  // 2
  const state = new Map<string, EventId>(base)
  iterativeAuthChecks(version, state, powerEvents, lookup)
  // 3
  const picked = new Set(powerEvents.map(({ event_id: id }) => id))
  const remaining = [...full].filter((id) => !picked.has(id))
  const powerLevelsId = state.get(POWER_LEVELS)
  const powerLevelsEvent = powerLevelsId === undefined ? undefined : lookup.find(powerLevelsId)
  const sorted = mainlineSort(powerLevelsEvent, findAll(remaining, lookup), lookup)
  // 4
  iterativeAuthChecks(version, state, sorted, lookup)
  // 5
  for (const [key, id] of parts.unconflicted) state.set(key, id)
  return lookup.missing.size > 0 ? undefined : state
}

/** The full conflicted set: https://spec.matrix.org/v1.19/rooms/v12/#definitions */
function fullConflictedSet(
  version: RoomVersion,
  stateSets: readonly StateMap[],
  parts: Partition,
  lookup: EventLookup,
): Set<EventId> {
  const conflicted = new Set<EventId>()
  for (const ids of parts.conflicts.values()) for (const id of ids) conflicted.add(id)
  const known = version.stateResolution === 'v2.1' ? conflictedSubgraph(conflicted, lookup) : conflicted
  return new Set([...known, ...authDifference(stateSets, parts, known, lookup)])
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

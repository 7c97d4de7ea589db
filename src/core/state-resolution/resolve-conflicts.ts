import type { EventId } from '../ids.ts'
import type { RoomVersion } from '../room-versions.ts'
import { type EventLookup, findAll } from './event-lookup.ts'
import { iterativeAuthChecks } from './iterative-auth-checks.ts'
import { mainlineSort } from './mainline-sort.ts'
import { selectPowerEvents } from './power-events.ts'
import { powerSort } from './power-sort.ts'
import { type StateMap, stateKeyId } from './state-map.ts'

/** The key of the first event of the mainline. */
export const POWER_LEVELS = stateKeyId('m.room.power_levels', '')

/** A full conflicted set, and the base of its resolution. */
export type Conflicts = { version: RoomVersion; full: ReadonlySet<EventId>; base: StateMap; lookup: EventLookup }

/** Steps 1 to 4 of the algorithm; returns the changes to the base. https://spec.matrix.org/v1.19/rooms/v2/#algorithm */
export function resolveConflicts({ version, full, base, lookup }: Conflicts): StateMap {
  const state = { base, changes: new Map<string, EventId>() }
  // 1
  const powerEvents = powerSort(version, selectPowerEvents(full, lookup), lookup)
  // 2
  iterativeAuthChecks(version, state, powerEvents, lookup)
  // 3
  const picked = new Set(powerEvents.map(({ event_id: id }) => id))
  const remaining = [...full].filter((id) => !picked.has(id))
  const powerLevelsId = state.changes.get(POWER_LEVELS) ?? base.get(POWER_LEVELS)
  const powerLevelsEvent = powerLevelsId === undefined ? undefined : lookup.find(powerLevelsId)
  const sorted = mainlineSort(powerLevelsEvent, findAll(remaining, lookup), lookup)
  // 4
  iterativeAuthChecks(version, state, sorted, lookup)
  return state.changes
}

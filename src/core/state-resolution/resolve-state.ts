import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { eventLookup } from './event-lookup.ts'
import { resolveV1 } from './resolve-v1.ts'
import { resolveV2 } from './resolve-v2.ts'
import type { StateMap } from './state-map.ts'

/** The resolved state, or the events without which it cannot be told. */
export type Resolution = { state: StateMap } | { missing: EventId[] }

/**
 * The one state that the states after several events resolve to. `get` gives the events at hand, rejected ones too; where it lacks some that
 * are needed, the answer is their ids, to be called again with them (and best with all of their auth chains, which are needed next). Events
 * that can never be had are for the caller to notice: it would be asked for them again. https://spec.matrix.org/v1.19/rooms/v12/#state-resolution
 */
export function resolveState(
  version: RoomVersion,
  stateSets: readonly StateMap[],
  get: (id: EventId) => Event | undefined,
): Resolution {
  const lookup = eventLookup(get)
  const resolve = version.stateResolution === 'v1' ? resolveV1 : resolveV2
  const state = resolve(version, stateSets, lookup)
  return lookup.missing.size > 0 || state === undefined ? { missing: [...lookup.missing] } : { state }
}

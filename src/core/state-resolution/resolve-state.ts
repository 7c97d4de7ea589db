import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { eventLookup } from './event-lookup.ts'
import { resolveV1 } from './resolve-v1.ts'
import { resolveV2 } from './resolve-v2.ts'
import type { StateMap } from './state-map.ts'

/** The resolved state, or the missing events. */
export type Resolution = { state: StateMap } | { missing: EventId[] }

/**
 * Resolves the states after several events to one state. `get` returns loaded events, rejected ones included. If some
 * are missing, the result is their ids: call again with them, and best with their whole auth chains, which are needed
 * next. The caller has to detect events that are unavailable, since their ids are returned again.
 * https://spec.matrix.org/v1.19/rooms/v12/#state-resolution
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

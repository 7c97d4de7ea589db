import { checkEventAuth } from '../auth-rules/check-event-auth.ts'
import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { authEventOf, createOf } from './auth-event-of.ts'
import type { EventLookup } from './event-lookup.ts'
import { type StateMap, stateKeyId } from './state-map.ts'

/** A room state: a base, and changes to it. */
export type StateInProgress = { base: StateMap; changes: Map<string, EventId> }

/**
 * The iterative auth checks algorithm: adds each event in turn to the changes of `state` if the rules allow it there.
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 */
export function iterativeAuthChecks(
  version: RoomVersion,
  state: StateInProgress,
  events: readonly Event[],
  lookup: EventLookup,
): void {
  for (const event of events) {
    const get = (type: string, stateKey: string) => stateFor({ version, state, event, lookup }, type, stateKey)
    if (!checkEventAuth(version, event, { get }).allowed) continue
    state.changes.set(stateKeyId(event.pdu.type, event.pdu.state_key ?? ''), event.event_id)
  }
}

type Check = { version: RoomVersion; state: StateInProgress; event: Event; lookup: EventLookup }

/** The event in the state, or else in the event's own `auth_events`. */
function stateFor({ version, state, event, lookup }: Check, type: string, stateKey: string): Event | undefined {
  const key = stateKeyId(type, stateKey)
  const id = state.changes.get(key) ?? state.base.get(key)
  if (id !== undefined) return lookup.find(id)
  const authEvent =
    type === 'm.room.create' ? createOf(version, event, lookup) : authEventOf(event, type, stateKey, lookup)
  return authEvent?.rejected ? undefined : authEvent
}

import { checkEventAuth } from '../auth-rules/check-event-auth.ts'
import type { Event } from '../events/pdu.ts'
import type { EventId } from '../ids.ts'
import type { RoomVersion } from '../room-versions.ts'
import { authEventOf, createOf } from './auth-event-of.ts'
import type { EventLookup } from './event-lookup.ts'
import { stateKeyId } from './state-map.ts'

/**
 * The iterative auth checks algorithm: puts each event in turn into `state`, which it changes, if the rules allow it there.
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 */
export function iterativeAuthChecks(
  version: RoomVersion,
  state: Map<string, EventId>,
  events: readonly Event[],
  lookup: EventLookup,
): void {
  for (const event of events) {
    const get = (type: string, stateKey: string) => stateFor({ version, state, event, lookup }, type, stateKey)
    if (!checkEventAuth(version, event, { get }).allowed) continue
    state.set(stateKeyId(event.pdu.type, event.pdu.state_key ?? ''), event.event_id)
  }
}

type Check = { version: RoomVersion; state: ReadonlyMap<string, EventId>; event: Event; lookup: EventLookup }

/** What the state has, else what the event itself cites. */
function stateFor({ version, state, event, lookup }: Check, type: string, stateKey: string): Event | undefined {
  const id = state.get(stateKeyId(type, stateKey))
  if (id !== undefined) return lookup.find(id)
  const cited = type === 'm.room.create' ? createOf(version, event, lookup) : authEventOf(event, type, stateKey, lookup)
  return cited?.rejected ? undefined : cited
}

import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { authEventKeys } from './auth-event-keys.ts'
import { ruleNumbers } from './rule-numbers.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/**
 * Checks the `auth_events` of an event (the caller has to load all of them): rule 2 of the authorisation rules, 3 in
 * version 12. Whether they permit the event is for `checkEventAuth`.
 * https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
 */
export function checkAuthEvents(version: RoomVersion, event: Event, authEvents: readonly Event[]): AuthVerdict {
  // 1: create events need no further check.
  if (event.pdu.type === 'm.room.create') return ALLOWED
  const number = ruleNumbers(version).authEvents
  const keys = authEvents.map(({ pdu }) => JSON.stringify([pdu.type, pdu.state_key]))
  // 2.1
  if (new Set(keys).size < keys.length) return refuse(`${number}.1`, 'auth_events lists two events for the same state')
  const selection = new Set(
    authEventKeys(version, event.pdu).map(({ type, state_key }) => JSON.stringify([type, state_key])),
  )
  // 2.2
  const needless = authEvents.find((_, index) => !selection.has(keys[index]!))
  if (needless !== undefined)
    return refuse(`${number}.2`, `auth_events lists ${needless.event_id}, which gives no permission`)
  // 2.3
  const rejected = authEvents.find((authEvent) => authEvent.rejected)
  if (rejected !== undefined) return refuse(`${number}.3`, `auth_events lists ${rejected.event_id}, which was rejected`)
  return checkRoom(version, event, authEvents)
}

function checkRoom(version: RoomVersion, event: Event, authEvents: readonly Event[]): AuthVerdict {
  const { authEvents: number, noCreate } = ruleNumbers(version)
  // 2.4: since version 12 the room id replaces the create event.
  if (!version.roomIdIsCreateHash && !authEvents.some(({ pdu }) => pdu.type === 'm.room.create')) {
    return refuse(noCreate, 'auth_events lists no m.room.create')
  }
  // 2.5, in version 12: 3.4
  const outside = authEvents.find((authEvent) => authEvent.room_id !== event.room_id)
  if (outside === undefined) return ALLOWED
  return refuse(
    `${number}.${version.roomIdIsCreateHash ? 4 : 5}`,
    `auth_events lists ${outside.event_id} of another room`,
  )
}

import type { EventId } from '../ids.ts'
import type { Event } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import type { EventLookup } from './event-lookup.ts'

/** Returns the first auth event of an event with a type and state key. */
export function authEventOf(event: Event, type: string, stateKey: string, lookup: EventLookup): Event | undefined {
  for (const id of event.auth_event_ids) {
    const authEvent = lookup.find(id)
    if (authEvent?.pdu.type === type && authEvent.pdu.state_key === stateKey) return authEvent
  }
  return undefined
}

/** Returns the create event that an event references: since room version 12 only by its room id. */
export function createOf(version: RoomVersion, event: Event, lookup: EventLookup): Event | undefined {
  if (version.roomIdIsCreateHash) return lookup.find(`$${event.room_id.slice(1)}` as EventId)
  return authEventOf(event, 'm.room.create', '', lookup)
}

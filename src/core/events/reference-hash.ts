import { hash } from 'node:crypto'
import { BadJsonError } from '../errors.ts'
import { type EventId, isEventId } from '../ids.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { encodeBase64 } from '../text/base64.ts'
import { essentialJson } from './essential-json.ts'

/**
 * Returns the reference hash: 32 bytes that identify the redacted event. Throws BadJsonError.
 * https://spec.matrix.org/v1.19/server-server-api/#calculating-the-reference-hash-for-an-event
 */
export function referenceHash(version: RoomVersion, pdu: Pdu): Buffer {
  return hashOf(essentialJson(version, pdu))
}

/**
 * Returns the event id: the reference hash, or the `event_id` field in room versions 1 and 2. Throws BadJsonError.
 * https://spec.matrix.org/v1.19/rooms/v4/#event-ids
 */
export function eventIdOf(version: RoomVersion, pdu: Pdu): EventId {
  if (version.eventIdFormat !== 'server-chosen') return hashedEventId(version, essentialJson(version, pdu))
  if (pdu.event_id === undefined || !isEventId(pdu.event_id)) throw new BadJsonError('The event has no event id')
  return pdu.event_id
}

/** Returns the event id (since room version 3) from a known `essentialJson`. */
export function hashedEventId(version: RoomVersion, essential: string): EventId {
  const isUrlSafe = version.eventIdFormat !== 'hash-base64'
  return `$${isUrlSafe ? hash('sha256', essential, 'base64url') : encodeBase64(hashOf(essential))}` as EventId
}

function hashOf(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

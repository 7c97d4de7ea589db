import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import { assertCanonical } from '../../../core/json/canonical-json.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import { verifyEvents } from './verify-events.ts'

/**
 * Throws M_BAD_JSON where what is to become part of an event of a room has a number that its version does not allow.
 */
export async function requireCanonicalFor(app: Pick<App, 'database'>, roomId: RoomId, json: object): Promise<void> {
  const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
  assertCanonical(json, { strict: version?.strictCanonicalJson ?? true })
}

/** An event that another server hands over for an answer, and what the path of the request says that it is. */
type Submitted = { pdu: object; roomId: RoomId; eventId: EventId }

/**
 * The event, once it is known to be what its servers signed, and the one of the path. Throws M_BAD_JSON where a number
 * is none that the room version allows, and M_INVALID_PARAM for all else.
 * https://spec.matrix.org/v1.19/rooms/v6/#canonical-json
 */
export async function verifySubmitted(
  app: Pick<App, 'keyRing'>,
  version: RoomVersion,
  { pdu, roomId, eventId }: Submitted,
): Promise<Event> {
  assertCanonical(pdu, { strict: version.strictCanonicalJson })
  const [verified] = await verifyEvents(app, version, [pdu])
  if (!verified?.ok) throw new InvalidParamError(`The event is not valid: ${verified?.reason}`)
  if (verified.event.event_id !== eventId || verified.event.room_id !== roomId) {
    throw new InvalidParamError('The event is another one, or of another room, than the path says')
  }
  return verified.event
}

import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import { assertCanonical } from '../../../core/json/canonical-json.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import { verifyEvents } from './verify-events.ts'

/** Throws M_BAD_JSON if JSON that becomes part of a room's event has a number which the room version does not allow. */
export async function requireCanonicalFor(app: Pick<App, 'database'>, roomId: RoomId, json: object): Promise<void> {
  const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
  assertCanonical(json, { strict: version?.strictCanonicalJson ?? true })
}

/** An event that another server submits, and the room and event ID in the request's path. */
type Submitted = { pdu: object; roomId: RoomId; eventId: EventId }

/**
 * Returns the event once its signatures are verified and it matches the path. Throws M_BAD_JSON for numbers that the
 * room version does not allow, and M_INVALID_PARAM otherwise.
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
    throw new InvalidParamError('The event does not match the event id or room id of the path')
  }
  return verified.event
}

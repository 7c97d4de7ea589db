import type { App } from '../../../app.ts'
import { InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import type { RemoteOutcome } from '../../rooms/timeline/append-remote-event.ts'
import { verifyEvents } from '../trust/verify-events.ts'
import type { IngestApp } from './append-with-help.ts'
import { ingestEvent } from './ingest-event.ts'

/**
 * Verifies and appends an event of another server, with the events that it references. Throws M_NOT_FOUND for an
 * unknown room, M_INVALID_PARAM for an invalid event, and FederationError if references are unavailable.
 */
export async function receiveEvent(
  app: IngestApp & Pick<App, 'database'>,
  { origin, roomId, pdu }: { origin: ServerName; roomId: RoomId; pdu: unknown },
): Promise<RemoteOutcome> {
  const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
  if (!version) throw new NotFoundError('This server is not in that room')
  const [verified] = await verifyEvents(app, version, [pdu])
  if (!verified?.ok) throw new InvalidParamError(`The event is not valid: ${verified?.reason}`)
  if (verified.event.room_id !== roomId) throw new InvalidParamError('The event belongs to another room')
  return ingestEvent(app, { origin, roomId, version, event: verified.event })
}

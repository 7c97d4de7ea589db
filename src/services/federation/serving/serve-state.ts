import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { EventId, RoomId, ServerName } from '../../../core/ids.ts'
import { jsonAround, jsonItems } from '../../../core/json/json-pieces.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { requireFullState, requireInRoom } from '../trust/require-in-room.ts'
import { chainTexts } from './auth-chain-texts.ts'

export type StateRequest = { origin: ServerName; roomId: RoomId; eventId: EventId }

/**
 * Finds the state group before an event, for another server in the room. Throws M_FORBIDDEN,
 * M_UNABLE_DUE_TO_PARTIAL_STATE, and M_NOT_FOUND if the state is unknown.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
 */
export async function findStateBefore(
  app: Pick<App, 'database'>,
  { origin, roomId, eventId }: StateRequest,
): Promise<number> {
  await requireInRoom(app, roomId, origin)
  await requireFullState(app, roomId)
  const event = await requireEvent(app, roomId, eventId)
  if (event.state_before === null) throw new NotFoundError(`The state at ${eventId} is unknown`)
  return event.state_before
}

/**
 * Yields the JSON of an event's auth chain, oldest first, in pieces.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid
 */
export async function serveEventAuth(
  app: Pick<App, 'database'>,
  { origin, roomId, eventId }: StateRequest,
): Promise<AsyncGenerator<string>> {
  await requireInRoom(app, roomId, origin)
  const event = await requireEvent(app, roomId, eventId)
  const chain = chainTexts(app, roomId, { starts: new Set(event.auth_event_ids) })
  return jsonAround(
    '{"auth_chain":[',
    jsonItems(chain, ({ json }) => json),
    ']}',
  )
}

async function requireEvent(app: Pick<App, 'database'>, roomId: RoomId, eventId: EventId): Promise<StoredEvent> {
  const [event] = await loadEventsById(app.database, [eventId])
  if (event?.room_id !== roomId) throw new NotFoundError(`The room has no event ${eventId}`)
  return event
}

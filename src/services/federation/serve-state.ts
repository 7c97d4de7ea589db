import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { createEventIdOf, type EventId, type RoomId, type ServerName } from '../../core/ids.ts'
import { loadWithAuthChains } from '../../storage/auth-chains.ts'
import { loadEventsById } from '../../storage/events.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { byAge } from './auth-chain-texts.ts'
import { requireFullState, requireInRoom } from './require-in-room.ts'

export type StateRequest = { origin: ServerName; roomId: RoomId; eventId: EventId }

/**
 * The root of the state before an event, of which another server in the room may know. Throws M_FORBIDDEN, M_UNABLE_DUE_TO_PARTIAL_STATE, and
 * M_NOT_FOUND where the state is not known.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
 */
export async function findStateBefore(
  app: Pick<App, 'database'>,
  { origin, roomId, eventId }: StateRequest,
): Promise<number> {
  await requireInRoom(app, roomId, origin)
  await requireFullState(app, roomId)
  const event = await requireEvent(app, roomId, eventId)
  if (event.state_before === null) throw new NotFoundError(`The state at ${eventId} is not known`)
  return event.state_before
}

/** The events that permit an event, oldest first. https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid */
export async function serveEventAuth(
  app: Pick<App, 'database'>,
  { origin, roomId, eventId }: StateRequest,
): Promise<StoredEvent[]> {
  await requireInRoom(app, roomId, origin)
  const event = await requireEvent(app, roomId, eventId)
  const chain = new Map<EventId, StoredEvent>()
  const createId = createEventIdOf(roomId)
  await loadWithAuthChains(app.database, [...event.auth_event_ids, ...(createId ? [createId] : [])], chain)
  const links = [...chain.values()].map((link) => ({ link, depth: link.pdu.depth, event_nid: link.event_nid }))
  return links.sort(byAge).map(({ link }) => link)
}

async function requireEvent(app: Pick<App, 'database'>, roomId: RoomId, eventId: EventId): Promise<StoredEvent> {
  const [event] = await loadEventsById(app.database, [eventId])
  if (event?.room_id !== roomId) throw new NotFoundError(`The room has no event ${eventId}`)
  return event
}

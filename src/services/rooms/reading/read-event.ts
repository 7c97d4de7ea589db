import type { App } from '../../../app.ts'
import { ForbiddenError, NotFoundError } from '../../../core/errors.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { DeviceId, EventId } from '../../../core/ids.ts'
import { findRoomEvent } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { accessAs, type RoomReading } from '../access/administrator-access.ts'
import type { RoomAccess } from '../access/room-access.ts'
import { serveEvents } from './serve-events.ts'
import { visibleThrough } from './visible-events.ts'

export type EventCommand = RoomReading & { eventId: EventId }

/**
 * Returns one event. Throws M_NOT_FOUND also if the user may not see it.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomideventeventid
 */
export async function readEvent(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: EventCommand & { deviceId: DeviceId | null },
): Promise<ClientEvent> {
  const { event } = await findVisibleEvent(app, command)
  const [served] = await serveEvents(app, { ...command, events: [event], bundle: true })
  return served!
}

/** Finds an event that the user may see, and the user's access to its room. Throws M_NOT_FOUND. */
export async function findVisibleEvent(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  command: EventCommand,
): Promise<{ event: StoredEvent; access: RoomAccess }> {
  const access = await accessOrNothing(app, command)
  const event = access && (await findRoomEvent(app.database, command.roomId, command.eventId))
  const isVisible =
    event && !event.soft_failed && (await visibleThrough(app, { ...command, access }, [event])).length > 0
  if (!isVisible || (await isIgnored(app, event, command)))
    throw new NotFoundError('The event does not exist, or you are not allowed to see it')
  return { event, access }
}

/** The error must not reveal whether the room exists. */
async function accessOrNothing(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  command: EventCommand,
): Promise<RoomAccess | undefined> {
  try {
    return await accessAs(app, command)
  } catch (error) {
    if (error instanceof ForbiddenError) return undefined
    throw error
  }
}

async function isIgnored(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  event: StoredEvent,
  { userId, asAdministrator }: EventCommand,
): Promise<boolean> {
  if (asAdministrator || event.pdu.state_key !== undefined || event.pdu.sender === userId) return false
  return (await loadIgnoredUsers(app.database, userId)).has(event.pdu.sender)
}

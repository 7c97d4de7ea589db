import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { ClientEvent } from '../../core/events/client-event.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'
import { readAllState, readStateEvent } from '../../storage/room-state.ts'
import { accessState } from './room-access.ts'
import { serveEvents, serveStateEvents } from './serve-events.ts'

export type StateCommand = { roomId: RoomId; userId: UserId; deviceId: DeviceId | null }

/**
 * All state of a room, now or as it was when the user left. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate
 */
export async function readState(app: Pick<App, 'database' | 'clock'>, command: StateCommand): Promise<ClientEvent[]> {
  const { stateRoot } = await accessState(app, command.roomId, command.userId)
  return serveStateEvents(app, { ...command, events: await readAllState(app.database, stateRoot) })
}

/**
 * One piece of a room's state: its content, or the whole event. Throws M_FORBIDDEN and M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey
 */
export async function readStateAt(
  app: Pick<App, 'database' | 'clock'>,
  command: StateCommand & { eventType: string; stateKey: string; format: 'content' | 'event' },
): Promise<JsonObject | ClientEvent> {
  const { stateRoot } = await accessState(app, command.roomId, command.userId)
  const event = await readStateEvent(app.database, stateRoot, command.eventType, command.stateKey)
  if (!event) throw new NotFoundError(`The room has no state ${command.eventType} with the key '${command.stateKey}'`)
  if (command.format === 'content' && event.pdu.type !== 'm.room.member') return event.pdu.content
  const [served] = await serveEvents(app, { ...command, events: [event] })
  return command.format === 'content' ? served!.content : served!
}

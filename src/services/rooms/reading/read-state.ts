import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { DeviceId, RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { readStateEvent, readStateInPieces } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { accessFullState } from '../access/await-full-state.ts'
import { accessState } from '../access/room-access.ts'
import { serveEvents, serveStateEvents } from './serve-events.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'stopping' | 'reading'>

export type StateCommand = { roomId: RoomId; userId: UserId; deviceId: DeviceId | null }

/**
 * Yields all state of a room, now or as of the user's leave, in pages. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate
 */
export async function readState(app: Reading, command: StateCommand): Promise<AsyncGenerator<ClientEvent[]>> {
  const { stateRoot } = await accessFullState(app, command.roomId, command.userId)
  return serveState(app, command, readStateInPieces(app.database, stateRoot))
}

export async function* serveState(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  { userId, deviceId }: StateCommand,
  pieces: AsyncIterable<StoredEvent[]>,
): AsyncGenerator<ClientEvent[]> {
  for await (const events of pieces) yield await serveStateEvents(app, { userId, deviceId, events })
}

/**
 * Returns one state event, or only its content. Throws M_FORBIDDEN and M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey
 */
export async function readStateAt(
  app: Reading,
  command: StateCommand & { eventType: string; stateKey: string; format: 'content' | 'event' },
): Promise<JsonObject | ClientEvent> {
  const { roomId, userId, eventType, stateKey, format } = command
  const isOfOthers = eventType === 'm.room.member' && stateKey !== userId
  const { stateRoot } = await (isOfOthers ? accessFullState : accessState)(app, roomId, userId)
  const event = await readStateEvent(app.database, stateRoot, eventType, stateKey)
  if (!event) throw new NotFoundError(`The room has no state ${eventType} with the key '${stateKey}'`)
  if (format === 'content' && eventType !== 'm.room.member') return event.pdu.content
  const [served] = await serveEvents(app, { ...command, events: [event] })
  return format === 'content' ? served!.content : served!
}

import type { App } from '../../app.ts'
import { InvalidParamError } from '../../core/errors.ts'
import type { JsonObject, Pdu } from '../../core/events/pdu.ts'
import type { RoomId } from '../../core/ids.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { verifyEvents } from './verify-events.ts'

type ToldEvents = { version: RoomVersion; roomId: RoomId; events: readonly unknown[] }

const MAX_EVENTS = 64

/**
 * What a server tells somebody outside of a room about it, in the form for clients. Since room version 12, where the id of a room is that of its
 * `m.room.create`, only whole events count, that can be verified; before, servers send what they like.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid (`knock_room_state`)
 */
export async function toldState(app: Pick<App, 'keyRing'>, told: ToldEvents): Promise<JsonObject[]> {
  const some = told.events.slice(0, MAX_EVENTS)
  if (!told.version.roomIdIsCreateHash) return some.flatMap(strippedEvent)
  const checked = await checkEvents(app, told, some)
  return checked.flatMap(({ pdu }) => (pdu ? strippedEvent(pdu) : []))
}

/**
 * As `toldState`, of what comes with an invite: throws M_INVALID_PARAM where, since room version 12, an event is not what it should be or
 * `m.room.create` is missing. https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid (`invite_room_state`)
 */
export async function requireToldState(app: Pick<App, 'keyRing'>, told: ToldEvents): Promise<JsonObject[]> {
  const some = told.events.slice(0, MAX_EVENTS)
  if (!told.version.roomIdIsCreateHash) return some.flatMap(strippedEvent)
  const pdus = (await checkEvents(app, told, some)).map(({ pdu, reason }) => {
    if (!pdu) throw new InvalidParamError(`An event of invite_room_state is not valid: ${reason}`)
    return pdu
  })
  if (!pdus.some(({ type, state_key }) => type === 'm.room.create' && state_key === '')) {
    throw new InvalidParamError('invite_room_state lacks m.room.create')
  }
  return pdus.flatMap(strippedEvent)
}

async function checkEvents(
  app: Pick<App, 'keyRing'>,
  { version, roomId }: ToldEvents,
  events: readonly unknown[],
): Promise<{ pdu?: Pdu; reason?: string }[]> {
  const verified = await verifyEvents(app, version, events)
  return verified.map((result) => {
    if (!result.ok) return { reason: result.reason }
    return result.event.room_id === roomId ? { pdu: result.event.pdu } : { reason: 'It is of another room' }
  })
}

function strippedEvent(event: unknown): JsonObject[] {
  const { type, state_key, sender, content, origin_server_ts } = (event ?? {}) as Partial<Pdu>
  const isText = [type, state_key, sender].every((value) => typeof value === 'string')
  if (!isText || typeof content !== 'object' || content === null || Array.isArray(content)) return []
  const time = typeof origin_server_ts === 'number' ? { origin_server_ts } : {}
  return [{ type: type!, state_key: state_key!, sender: sender!, content, ...time }]
}

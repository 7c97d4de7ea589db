import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { JsonObject, Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { verifyEvents } from './verify-events.ts'

type ToldEvents = { version: RoomVersion; roomId: RoomId; events: readonly unknown[] }

const MAX_EVENTS = 64

/**
 * What a server tells somebody outside of a room about it, in the form for clients. Since room version 12, where the id
 * of a room is that of its
 * `m.room.create`, whole events count only if they are valid. Stripped state counts unverified, as before version 12: some servers send nothing else.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid (`knock_room_state`)
 */
export async function toldState(app: Pick<App, 'keyRing'>, told: ToldEvents): Promise<JsonObject[]> {
  return (await checkEvents(app, told)).flatMap(({ event, reason }) =>
    reason === undefined ? strippedEvent(event) : [],
  )
}

/**
 * As `toldState`, of what comes with an invite: throws M_INVALID_PARAM where, since room version 12, a whole event is
 * not what it should be.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid (`invite_room_state`)
 */
export async function requireToldState(app: Pick<App, 'keyRing'>, told: ToldEvents): Promise<JsonObject[]> {
  return (await checkEvents(app, told)).flatMap(({ event, reason }) => {
    if (reason !== undefined) throw new InvalidParamError(`An event of invite_room_state is not valid: ${reason}`)
    return strippedEvent(event)
  })
}

/** The events, with what is wrong with those that are whole and not valid. */
async function checkEvents(
  app: Pick<App, 'keyRing'>,
  { version, roomId, events }: ToldEvents,
): Promise<{ event: unknown; reason?: string }[]> {
  const some = events.slice(0, MAX_EVENTS)
  const whole = version.roomIdIsCreateHash ? some.filter((event) => !isStripped(event)) : []
  const verified = await verifyEvents(app, version, whole)
  const reasons = new Map(
    verified.flatMap((result, place) => {
      if (!result.ok) return [[whole[place], result.reason]]
      return result.event.room_id === roomId ? [] : [[whole[place], 'It is of another room']]
    }),
  )
  return some.map((event) => ({ event, ...(reasons.has(event) && { reason: reasons.get(event)! }) }))
}

/** Whether an event claims no more than its content: https://spec.matrix.org/v1.19/client-server-api/#stripped-state */
function isStripped(event: unknown): boolean {
  return typeof event === 'object' && event !== null && !('signatures' in event) && !('hashes' in event)
}

function strippedEvent(event: unknown): JsonObject[] {
  const { type, state_key, sender, content, origin_server_ts } = (event ?? {}) as Partial<Pdu>
  const isText = [type, state_key, sender].every((value) => typeof value === 'string')
  if (!isText || typeof content !== 'object' || content === null || Array.isArray(content)) return []
  const time = typeof origin_server_ts === 'number' ? { origin_server_ts } : {}
  return [{ type: type!, state_key: state_key!, sender: sender!, content, ...time }]
}

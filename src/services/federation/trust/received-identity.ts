import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { JsonObject, Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { verifyEvents } from './verify-events.ts'

type ReceivedIdentity = { version: RoomVersion; roomId: RoomId; events: readonly unknown[] }

const MAX_EVENTS = 64

/**
 * Returns a room's stripped state from another server, in the client format. Since room version 12, where the room ID
 * is derived from `m.room.create`, full events count only if they are valid. Stripped events count unverified, as
 * before version 12: some servers send nothing else.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid (`knock_room_state`)
 */
export async function receivedStrippedState(
  app: Pick<App, 'keyRing'>,
  received: ReceivedIdentity,
): Promise<JsonObject[]> {
  return (await checkEvents(app, received)).flatMap(({ event, reason }) =>
    reason === undefined ? strippedEvent(event) : [],
  )
}

/**
 * As `receivedStrippedState`, for an invite: throws M_INVALID_PARAM if, since room version 12, a full event is invalid.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid (`invite_room_state`)
 */
export async function requireStrippedState(
  app: Pick<App, 'keyRing'>,
  received: ReceivedIdentity,
): Promise<JsonObject[]> {
  return (await checkEvents(app, received)).flatMap(({ event, reason }) => {
    if (reason !== undefined) throw new InvalidParamError(`invite_room_state contains an invalid event: ${reason}`)
    return strippedEvent(event)
  })
}

/** Returns the events, with the errors of invalid full ones. */
async function checkEvents(
  app: Pick<App, 'keyRing'>,
  { version, roomId, events }: ReceivedIdentity,
): Promise<{ event: unknown; reason?: string }[]> {
  const some = events.slice(0, MAX_EVENTS)
  const whole = version.roomIdIsCreateHash ? some.filter((event) => !isStripped(event)) : []
  const verified = await verifyEvents(app, version, whole)
  const reasons = new Map(
    verified.flatMap((result, place) => {
      if (!result.ok) return [[whole[place], result.reason]]
      return result.event.room_id === roomId ? [] : [[whole[place], 'It is in another room']]
    }),
  )
  return some.map((event) => ({ event, ...(reasons.has(event) && { reason: reasons.get(event)! }) }))
}

/**
 * Returns whether an event is stripped, that is without signatures and hashes:
 * https://spec.matrix.org/v1.19/client-server-api/#stripped-state
 */
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

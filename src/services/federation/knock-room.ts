import { z } from 'zod'
import type { App } from '../../app.ts'
import type { JsonObject } from '../../core/events/pdu.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation-error.ts'
import { loadProfile } from '../../storage/profiles.ts'
import { knockOnRoom as knockOnOwnRoom } from '../rooms/knock.ts'
import { memberContent } from '../rooms/member-content.ts'
import { askInTurn } from './ask-in-turn.ts'
import { locateRoom } from './locate-room.ts'
import { prepareMember } from './member-handshake.ts'
import { toldState } from './received-identity.ts'
import { storeOutsideMember } from './store-outside-member.ts'

export type KnockRequest = {
  userId: UserId
  room: RoomId | RoomAlias
  /** Servers that the client says are in the room. */
  via: readonly ServerName[]
  content: JsonObject
}

const SEND_TIMEOUT_MS = 60_000
const answer = z.object({ knock_room_state: z.array(z.unknown()).prefault([]) })

/**
 * Asks to be let into a room, wherever it is; returns its id. Throws M_NOT_FOUND, M_FORBIDDEN, what other servers refuse for, and 502 when none
 * can be reached. https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
 */
export async function knockOnRoom(app: App, request: KnockRequest): Promise<RoomId> {
  const { roomId, isHere, servers } = await locateRoom(app, request)
  const { userId, content } = request
  if (isHere) return knockOnOwnRoom(app, { userId, room: roomId, content })
  const whole = memberContent('knock', content, await loadProfile(app.database, userId))
  await askInTurn(servers, (server) => sendKnock(app, server, { roomId, userId, content: whole }))
  return roomId
}

async function sendKnock(
  app: App,
  server: ServerName,
  knock: { roomId: RoomId; userId: UserId; content: JsonObject },
): Promise<void> {
  const { roomId } = knock
  const { version, event } = await prepareMember(app, server, { ...knock, membership: 'knock' })
  const said = await app.federation.request({
    destination: server,
    method: 'PUT',
    path: `/_matrix/federation/v1/send_knock/${encodeURIComponent(roomId)}/${encodeURIComponent(event.event_id)}`,
    body: event.pdu,
    timeoutMs: SEND_TIMEOUT_MS,
  })
  const parsed = answer.safeParse(said)
  if (!parsed.success) throw new FederationError(`${server} does not answer the knock as it should`)
  const told = await toldState(app, { version, roomId, events: parsed.data.knock_room_state })
  await storeOutsideMember(app, event, { version, told, contact: server })
}

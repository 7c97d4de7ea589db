import { z } from 'zod'
import type { App } from '../../../app.ts'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { askInTurn } from '../requests/ask-in-turn.ts'
import { prepareMember } from '../requests/member-handshake.ts'
import { storeOutOfBandMember } from '../requests/store-out-of-band-member.ts'
import { receivedStrippedState } from '../trust/received-identity.ts'

type RemoteKnock = { roomId: RoomId; userId: UserId; content: JsonObject }

const SEND_TIMEOUT_MS = 60_000
const answer = z.object({ knock_room_state: z.array(z.unknown()).prefault([]) })

/**
 * Knocks on a room through the first of some servers that accepts it. Throws the servers' refusal, and 502 if none can
 * be reached.
 * https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
 */
export async function knockRemotely(app: App, servers: readonly ServerName[], knock: RemoteKnock): Promise<void> {
  await askInTurn(servers, (server) => sendKnock(app, server, knock))
}

async function sendKnock(app: App, server: ServerName, knock: RemoteKnock): Promise<void> {
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
  const strippedState = await receivedStrippedState(app, { version, roomId, events: parsed.data.knock_room_state })
  await storeOutOfBandMember(app, event, { version, strippedState, contact: server })
}

import type { App } from '../../../app.ts'
import { buildEvent } from '../../../core/events/build-event.ts'
import { referenceHash } from '../../../core/events/reference-hash.ts'
import { type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Event, JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { encodeBase64 } from '../../../core/text/base64.ts'
import { loadRoomServers } from '../../../storage/rooms/membership/room-servers.ts'
import { loadRoomContacts } from '../../../storage/rooms/room-contacts.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { askInTurn } from '../requests/ask-in-turn.ts'
import { prepareMember } from '../requests/member-handshake.ts'
import { storeOutOfBandMember } from '../requests/store-out-of-band-member.ts'

export type Leaving = { userId: UserId; roomId: RoomId; content: JsonObject }

/** Number of servers that are notified while the client waits. */
const MAX_SERVERS = 3
const SEND_TIMEOUT_MS = 20_000

/**
 * Leaves a room that this server is not in. If servers refuse or cannot be reached, the room is left locally only.
 * `last`: the user's current member event.
 * https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
 */
export async function leaveRemotely(app: App, leaving: Leaving, last: StoredEvent): Promise<void> {
  const content = { ...leaving.content, membership: 'leave' }
  try {
    const servers = await serversOf(app, leaving, last)
    const { version, event } = await askInTurn(servers, (server) => sendLeave(app, server, { ...leaving, content }))
    await storeOutOfBandMember(app, event, { version })
  } catch (error) {
    const { roomId, userId } = leaving
    app.logger.warn({ err: error, room_id: roomId, user_id: userId }, 'remote leave failed on all servers')
    const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
    if (!version) throw error
    await storeOutOfBandMember(app, ownLeave(app, version, { last, content }), { version })
  }
}

async function serversOf(app: App, { roomId, userId }: Leaving, last: StoredEvent): Promise<ServerName[]> {
  const known = [
    serverNameOf(last.pdu.sender),
    ...(await loadRoomContacts(app.database, roomId, userId)),
    ...(await loadRoomServers(app.database, roomId, MAX_SERVERS)),
  ]
  return [...new Set(known)].filter((server) => server !== app.serverName).slice(0, MAX_SERVERS)
}

async function sendLeave(
  app: App,
  server: ServerName,
  { roomId, userId, content }: Leaving,
): Promise<{ version: RoomVersion; event: Event }> {
  const prepared = await prepareMember(app, server, { roomId, userId, membership: 'leave', content })
  const { event } = prepared
  await app.federation.request({
    destination: server,
    method: 'PUT',
    path: `/_matrix/federation/v2/send_leave/${encodeURIComponent(roomId)}/${encodeURIComponent(event.event_id)}`,
    body: event.pdu,
    timeoutMs: SEND_TIMEOUT_MS,
  })
  return prepared
}

/**
 * Creates the local event by which the user has left; it follows the user's last member event, and is sent to no
 * server.
 */
function ownLeave(
  app: Pick<App, 'clock' | 'serverName' | 'signingKeys'>,
  version: RoomVersion,
  { last, content }: { last: StoredEvent; content: JsonObject },
): Event {
  const userId = last.pdu.state_key as UserId
  const draft = {
    room_id: last.room_id,
    type: 'm.room.member',
    state_key: userId,
    sender: userId,
    content,
    origin_server_ts: app.clock.now(),
    depth: Math.min(last.pdu.depth + 1, Number.MAX_SAFE_INTEGER),
    prev_events: [last.event_id],
    auth_events: [last.event_id],
    reference_hashes: { [last.event_id]: { sha256: encodeBase64(referenceHash(version, last.pdu)) } },
  }
  return buildEvent(version, draft, { serverName: app.serverName, ...app.signingKeys.current })
}

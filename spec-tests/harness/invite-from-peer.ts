import type { Event, Pdu } from '../../testing/matrix/pdu.ts'
import type { LyingServer } from './lying-server.ts'
import type { PeerRoom } from './peer-room.ts'
import type { Asked as Home } from './signed-request.ts'

/** An invite by a scripted server. `roomState`: the stripped state, by default the room's whole state. */
export type InviteFromPeer = { room: PeerRoom; userId: string; roomState?: readonly unknown[] }

/**
 * Invites a user of Hearth to a room of a scripted server, which accepts the invite as signed by Hearth. Returns
 * Hearth's response.
 */
export async function inviteFromPeer(
  peer: LyingServer,
  home: Home,
  { room, userId, roomState = room.stateNow().map(({ pdu }) => pdu) }: InviteFromPeer,
): Promise<{ status: number; errcode?: string; invite: Event }> {
  const invite = room.add({ type: 'm.room.member', state_key: userId, content: { membership: 'invite' } })
  const path = `${encodeURIComponent(room.roomId)}/${encodeURIComponent(invite.event_id)}`
  const body = { room_version: room.version.id, event: invite.pdu, invite_room_state: roomState }
  const answer = await peer.ask(home, 'PUT', `/_matrix/federation/v2/invite/${path}`, body)
  if (answer.status !== 200) return { status: answer.status, errcode: answer.body.errcode, invite }
  return { status: 200, invite: room.take(answer.body.event as Pdu) }
}

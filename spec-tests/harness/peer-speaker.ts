import { toEvent } from '../../testing/matrix/events.ts'
import type { Pdu } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { uniqueName } from './client.ts'
import type { HostileWorld } from './hostile-world.ts'

/** The fields of an event that a test sets; the rest has defaults. */
type SaidEvent = Partial<Pick<Pdu, 'type' | 'state_key' | 'content' | 'redacts' | 'unsigned'>>

/** Sends an event of the peer's user that follows the previous one, and returns its ID. */
export type PeerSpeaker = (event: SaidEvent) => Promise<string>

/** Joins a room of this version as the user of a hostile world's peer, who has no power there. */
export async function joinAsPeer(
  { peer, home }: HostileWorld,
  roomId: string,
  roomVersion: string,
): Promise<PeerSpeaker> {
  const { signatures: _, hashes: __, ...proper } = await peer.join(home, roomId)
  let place = { prev_events: proper.prev_events, depth: proper.depth }
  return async ({ unsigned, ...said }) => {
    const signed = peer.sign({ ...proper, ...place, origin_server_ts: Date.now(), ...said }, roomVersion) as Pdu
    const { event_id: eventId } = toEvent(ROOM_VERSIONS.get(roomVersion)!, signed)
    place = { prev_events: [eventId], depth: signed.depth + 1 }
    const pdu = { ...signed, ...(unsigned && { unsigned }) }
    const body = { origin: peer.serverName, origin_server_ts: Date.now(), pdus: [pdu] }
    await peer.ask(home, 'PUT', `/_matrix/federation/v1/send/${uniqueName()}`, body)
    return eventId
  }
}

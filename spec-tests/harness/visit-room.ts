import { buildEvent, type EventDraft, toEvent } from '../../testing/matrix/events.ts'
import type { Event, EventId, Pdu, UserId } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import type { LyingServer } from './lying-server.ts'
import { PeerRoom } from './peer-room.ts'
import type { Asked as Home } from './signed-request.ts'

/** The response of `send_join`. */
export type JoinAnswer = { state: Pdu[]; auth_chain: Pdu[]; event?: Pdu; members_omitted?: boolean }

type Visit = { roomId: string; userId?: UserId; query?: string }

/**
 * Makes a user of a scripted server (by default `@visitor`) join a room of Hearth. Returns the response, and the room
 * as the server has it from then on.
 */
export async function visitRoom(
  peer: LyingServer,
  home: Home,
  visit: Visit,
): Promise<{ room: PeerRoom; answer: JoinAnswer; join: Event }> {
  const { version, event: join } = await prepareMember(peer, home, { ...visit, membership: 'join' })
  const path = `/_matrix/federation/v2/send_join/${encodeURIComponent(visit.roomId)}/${encodeURIComponent(join.event_id)}`
  const { status, body } = await peer.ask(home, 'PUT', `${path}${visit.query ?? ''}`, join.pdu)
  if (status !== 200) throw new Error(`send_join: ${status} ${JSON.stringify(body)}`)
  const answer = body as JoinAnswer
  const visited = { version, state: answer.state, join: answer.event ?? join.pdu }
  const room = new PeerRoom(peer.signer, { visited })
  peer.rooms.set(room.roomId, room)
  return { room, answer, join }
}

/** Returns a signed member event from the template of `make_join` and its siblings; `change` modifies it first. */
export async function prepareMember(
  peer: LyingServer,
  home: Home,
  wish: Visit & { membership: 'join' | 'leave' | 'knock'; change?: Partial<EventDraft> },
): Promise<{ version: string; event: Event }> {
  const { roomId, userId = `@visitor:${peer.serverName}` as UserId, membership, change } = wish
  const versions = [...ROOM_VERSIONS.keys()].map((version) => `ver=${version}`).join('&')
  const parts = `${encodeURIComponent(roomId)}/${encodeURIComponent(userId)}`
  const made = await peer.ask(home, 'GET', `/_matrix/federation/v1/make_${membership}/${parts}?${versions}`)
  if (made.status !== 200) throw new Error(`make_${membership}: ${made.status} ${JSON.stringify(made.body)}`)
  return { version: made.body.room_version, event: completeTemplate(peer, made.body, change) }
}

/** The response of `make_join` and its siblings. */
export type Template = { room_version: string; event: Pdu }

/** Returns the signed event of a template; `change` modifies it first. */
export function completeTemplate(
  peer: LyingServer,
  { room_version: id, event: template }: Template,
  change: Partial<EventDraft> = {},
): Event {
  const version = ROOM_VERSIONS.get(id)!
  const { auth_event_ids, prev_event_ids } = toEvent(version, template, { event_id: '$none' as EventId })
  const references: unknown[] = [...template.auth_events, ...template.prev_events]
  const cited = {
    auth_events: auth_event_ids,
    prev_events: prev_event_ids,
    reference_hashes: Object.fromEntries(references.filter((each) => Array.isArray(each)) as [EventId, object][]),
  }
  const draft = { ...template, ...cited, origin: peer.serverName, origin_server_ts: Date.now(), ...change }
  return buildEvent(version, draft as unknown as EventDraft, peer.signer)
}

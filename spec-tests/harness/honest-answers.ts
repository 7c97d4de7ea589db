import { signEvent } from '../../testing/matrix/events.ts'
import type { Event, EventId, Pdu, ServerName } from '../../testing/matrix/pdu.ts'
import { redact } from '../../testing/matrix/redact.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { type SigningKey, signableJson, signJson, signText } from '../../testing/matrix/signing.ts'
import type { PeerRoom } from './peer-room.ts'

/** The kinds of requests of Hearth to another server. */
export const REQUEST_KINDS = {
  keys: /^\/_matrix\/key\/v2\/server/,
  event: /\/v1\/event\//,
  event_auth: /\/v1\/event_auth\//,
  missing_events: /\/v1\/get_missing_events\//,
  backfill: /\/v1\/backfill\//,
  state_ids: /\/v1\/state_ids\//,
  state: /\/v1\/state\//,
  make_join: /\/v1\/make_join\//,
  send_join: /\/v2\/send_join\//,
  make_knock: /\/v1\/make_knock\//,
  send_knock: /\/v1\/send_knock\//,
  make_leave: /\/v1\/make_leave\//,
  send_leave: /\/v2\/send_leave\//,
  invite: /\/v2\/invite\//,
  send: /\/v1\/send\//,
  directory: /\/v1\/query\/directory/,
  profile: /\/v1\/query\/profile/,
  devices: /\/v1\/user\/devices\//,
  query_keys: /\/v1\/user\/keys\/query/,
  claim_keys: /\/v1\/user\/keys\/claim/,
  public_rooms: /\/v1\/publicRooms/,
  hierarchy: /\/v1\/hierarchy\//,
  timestamp_to_event: /\/v1\/timestamp_to_event\//,
  media: /\/media\/(v3\/)?download\//,
  policy: /^\/_matrix\/policy\//,
} as const
export type RequestKind = keyof typeof REQUEST_KINDS

export type Asked = {
  kind: RequestKind | undefined
  method: string
  path: string
  query: URLSearchParams
  body: unknown
}

/** A server with some rooms, whose users all have one device. */
export type Peer = {
  rooms: ReadonlyMap<string, PeerRoom>
  serverName: ServerName
  /** The first signs events. */
  keys: readonly [SigningKey, ...SigningKey[]]
}

/** A response that is not JSON. */
export type RawAnswer = { contentType: string; content: Buffer }

const HOUR_MS = 3_600_000
/** The device of every user of a peer. */
export const DEVICE_ID = 'DEVICE'
const ONE_TIME_KEY = 'signed_curve25519:AAAA'
/** An image of one pixel. */
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

/** Returns the response of an honest server; undefined: 404. */
export function honestAnswer(peer: Peer, asked: Asked): unknown {
  const { rooms, serverName } = peer
  const [key] = peer.keys
  const parts = asked.path.split('/').slice(5).map(decodeURIComponent)
  switch (asked.kind) {
    case 'keys': {
      const verify_keys = Object.fromEntries(peer.keys.map(({ keyId, publicKey }) => [keyId, { key: publicKey }]))
      const answer = { server_name: serverName, valid_until_ts: Date.now() + HOUR_MS, verify_keys, old_verify_keys: {} }
      return signJson(answer, serverName, key)
    }
    case 'event': {
      const event = [...rooms.values()].map((room) => room.find(parts[0] as EventId)).find(Boolean)
      return event && { origin: serverName, origin_server_ts: Date.now(), pdus: [event.pdu] }
    }
    case 'send':
      return { pdus: takeAll(peer, asked.body as { pdus?: Pdu[] }) }
    case 'invite':
      return { event: signedInvite(peer, asked.body as InviteRequest) }
    case 'profile':
      return { displayname: 'Peer' }
    case 'directory': {
      const [room] = rooms.keys()
      return room && { room_id: room, servers: [serverName] }
    }
    case 'devices':
      return { user_id: parts[1], stream_id: 1, devices: [{ device_id: DEVICE_ID, keys: deviceKeys(parts[1]!) }] }
    case 'query_keys':
      return { device_keys: forUsers(asked, 'device_keys', (userId) => ({ [DEVICE_ID]: deviceKeys(userId) })) }
    case 'claim_keys':
      return {
        one_time_keys: forUsers(asked, 'one_time_keys', () => ({
          [DEVICE_ID]: { [ONE_TIME_KEY]: { key: 'x', signatures: {} } },
        })),
      }
    case 'public_rooms':
      return { chunk: [...rooms.keys()].map(summaryOf), total_room_count_estimate: rooms.size }
    case 'media':
      return mediaAnswer()
    case 'policy':
      return { [serverName]: { [POLICY_KEY_ID]: signText(policyText(asked.body as Pdu), key.privateKey) } }
    default: {
      const room = rooms.get(parts[0] ?? '')
      return room && roomAnswer(peer, room, { ...asked, parts })
    }
  }
}

type InviteRequest = { room_version: string; event: Pdu }

function signedInvite({ serverName, keys: [key] }: Peer, { room_version, event }: InviteRequest): Pdu {
  return signEvent(ROOM_VERSIONS.get(room_version)!, event, { ...key, serverName })
}

const POLICY_KEY_ID = 'ed25519:policy_server'

/** Redaction is the same in all room versions of tests with a policy server. */
function policyText(pdu: Pdu): string {
  return signableJson(redact(ROOM_VERSIONS.get('12')!, pdu))
}

function forUsers(asked: Asked, field: string, answer: (userId: string) => object): object {
  const users = Object.keys((asked.body as Record<string, object>)[field] ?? {})
  return Object.fromEntries(users.map((userId) => [userId, answer(userId)]))
}

function deviceKeys(userId: string): object {
  const keys = { [`ed25519:${DEVICE_ID}`]: 'x', [`curve25519:${DEVICE_ID}`]: 'x' }
  return { user_id: userId, device_id: DEVICE_ID, algorithms: ['m.megolm.v1.aes-sha2'], keys, signatures: {} }
}

function summaryOf(roomId: string): object {
  const isFor = { guest_can_join: false, world_readable: true, join_rule: 'public' }
  return { room_id: roomId, num_joined_members: 1, ...isFor }
}

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid */
function mediaAnswer(): RawAnswer {
  const part = (type: string, content: Buffer) => [Buffer.from(`\r\n--b\r\nContent-Type: ${type}\r\n\r\n`), content]
  const parts = [
    ...part('application/json', Buffer.from('{}')),
    ...part('image/png', PICTURE),
    Buffer.from('\r\n--b--\r\n'),
  ]
  return { contentType: 'multipart/mixed; boundary=b', content: Buffer.concat(parts) }
}

function takeAll({ rooms }: Peer, { pdus = [] }: { pdus?: Pdu[] }): Record<string, object> {
  const taken = pdus.flatMap((pdu) => rooms.get(pdu.room_id ?? '')?.take(pdu) ?? [])
  return Object.fromEntries(taken.map((event) => [event.event_id, {}]))
}

type OfRoom = Asked & { parts: string[] }

function roomAnswer({ serverName }: Peer, room: PeerRoom, { kind, parts, query, body }: OfRoom): unknown {
  const pdusOf = (events: readonly Event[]) => events.map(({ pdu }) => pdu)
  const idsOf = (events: readonly Event[]) => events.map(({ event_id }) => event_id)
  const at = query.get('event_id') as EventId
  switch (kind) {
    case 'missing_events': {
      const { latest_events, earliest_events, limit } = body as {
        latest_events: EventId[]
        earliest_events: EventId[]
        limit: number
      }
      return { events: pdusOf(room.before(latest_events, { limit, until: earliest_events }).reverse()) }
    }
    case 'backfill': {
      const from = query.getAll('v') as EventId[]
      const limit = Number(query.get('limit'))
      const first = from.flatMap((id) => room.find(id) ?? [])
      return {
        origin: serverName,
        origin_server_ts: Date.now(),
        pdus: pdusOf([...first, ...room.before(from, { limit })].slice(0, limit)),
      }
    }
    case 'state':
    case 'state_ids': {
      if (!room.find(at)) return undefined
      const state = room.stateBefore(at)
      const chain = room.authChain(state)
      return kind === 'state'
        ? { pdus: pdusOf(state), auth_chain: pdusOf(chain) }
        : { pdu_ids: idsOf(state), auth_chain_ids: idsOf(chain) }
    }
    case 'event_auth': {
      const event = room.find(parts[1] as EventId)
      return event && { auth_chain: pdusOf(room.authChain([event])) }
    }
    case 'make_join':
    case 'make_leave':
    case 'make_knock': {
      const membership = kind.slice('make_'.length)
      return { room_version: room.version.id, event: room.template(parts[1]!, membership) }
    }
    case 'send_join': {
      const state = room.stateNow()
      const event = room.take(body as Pdu)
      const chain = room.authChain([...state, event])
      return {
        origin: serverName,
        event: event.pdu,
        state: pdusOf(state),
        auth_chain: pdusOf(chain),
        members_omitted: false,
        servers_in_room: [serverName],
      }
    }
    case 'send_leave':
      room.take(body as Pdu)
      return {}
    case 'send_knock':
      room.take(body as Pdu)
      return { knock_room_state: pdusOf(room.stateNow()) }
    case 'hierarchy':
      return { room: { ...summaryOf(room.roomId), children_state: [] }, children: [], inaccessible_children: [] }
    case 'timestamp_to_event': {
      const { event_id, pdu } = room.near(Number(query.get('ts')))
      return { event_id, origin_server_ts: pdu.origin_server_ts }
    }
    default:
      return undefined
  }
}

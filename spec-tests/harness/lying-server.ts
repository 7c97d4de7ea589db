import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { Agent, request } from 'undici'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import type { Event, Pdu } from '../../src/core/events/pdu.ts'
import type { EventId, ServerName } from '../../src/core/ids.ts'
import { signJson, signText } from '../../src/core/signing/sign-json.ts'
import { type SigningKey, signingKeyFromSeed } from '../../src/core/signing/signing-key.ts'
import { formatXMatrix, requestText } from '../../src/core/signing/x-matrix.ts'
import { BAD_ANSWERS, type BadAnswer } from './bad-answers.ts'
import type { TestFederation } from './federation.ts'
import type { TestHearth } from './hearth.ts'
import { PeerRoom, type PeerSigner } from './peer-room.ts'

/** What Hearth asks a server for. */
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
  media: /\/media\/download\//,
} as const
export type RequestKind = keyof typeof REQUEST_KINDS

export type Asked = {
  kind: RequestKind | undefined
  method: string
  path: string
  query: URLSearchParams
  body: unknown
}

/** Answers in place of the server: with JSON, or however it likes. undefined: as always. */
type Answering = (asked: Asked, response: ServerResponse) => unknown

/** A homeserver that tests speak for: it has rooms, signs what it is told to sign, and lies when it is told to lie. */
export type LyingServer = {
  serverName: ServerName
  port: number
  signer: PeerSigner
  rooms: Map<string, PeerRoom>
  /** Makes a public room of a user of its own. */
  room(options?: { version?: string }): PeerRoom
  /** All that it was asked, in order. */
  asked: Asked[]
  count(kind: RequestKind): number
  /** Answers a kind of request badly, or by a function, from now on; undefined: rightly. */
  lie(kind: RequestKind, answer: BadAnswer | Answering | undefined): void
  /** A signed request to a process of a homeserver. */
  ask(hearth: TestHearth, method: string, path: string, body?: object): ReturnType<typeof sendSigned>
  /** Sends a transaction, of events or whatever else; the answer by event id. */
  send(hearth: TestHearth, pdus: readonly unknown[], txnId?: string): Promise<Record<string, { error?: string }>>
}

/** On a machine that others load. */
const PATIENCE_MS = 60_000

/** Starts one as `localhost:PORT`. */
export async function startLyingServer(federation: TestFederation): Promise<LyingServer> {
  const tls = federation.authority.issue('localhost')
  const ca = readFileSync(federation.authority.certificate)
  const dispatcher = new Agent({ connect: { ca, timeout: PATIENCE_MS }, connections: 32 })
  const rooms = new Map<string, PeerRoom>()
  const asked: Asked[] = []
  const lies = new Map<RequestKind | undefined, Answering>()
  const key = signingKeyFromSeed('peer', randomBytes(32))

  const server = createServer(
    { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) },
    (incoming, response) => {
      // Hearth ends what takes too long.
      response.on('error', () => {})
      handle(incoming, response).catch(() => response.destroy())
    },
  )
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const { port } = server.address() as AddressInfo
  const serverName = `localhost:${port}` as ServerName
  const signer = { ...key, serverName }
  federation.onDispose(async () => {
    server.closeAllConnections()
    server.close()
    await dispatcher.destroy()
  })

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(incoming.url!, 'http://x')
    const kind = (Object.keys(REQUEST_KINDS) as RequestKind[]).find((each) => REQUEST_KINDS[each].test(pathname))
    const body = incoming.method === 'GET' ? undefined : await json(incoming)
    const request: Asked = { kind, method: incoming.method!, path: pathname, query, body }
    asked.push(request)
    const lie = lies.get(kind)
    const answer = (lie ? await lie(request, response) : undefined) ?? honestAnswer({ rooms, serverName, key }, request)
    if (lie && answer === ANSWERED) return
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { errcode: 'M_NOT_FOUND', error: 'Not here' }))
  }

  const ask = (hearth: TestHearth, method: string, path: string, body?: object) =>
    sendSigned({ dispatcher, signer }, hearth, { method, path, body })

  return {
    serverName,
    port,
    signer,
    rooms,
    asked,
    count: (kind) => asked.filter((each) => each.kind === kind).length,
    room(options) {
      const room = new PeerRoom(signer, options)
      rooms.set(room.roomId, room)
      return room
    },
    lie(kind, answer) {
      if (answer === undefined) lies.delete(kind)
      else if (typeof answer === 'function') lies.set(kind, answer)
      else lies.set(kind, (_, response) => answerBadly(response, answer))
    },
    ask,
    async send(hearth, pdus, txnId = randomBytes(6).toString('hex')) {
      const body = {
        origin: serverName,
        origin_server_ts: Date.now(),
        pdus: pdus.map((each) => (isEvent(each) ? each.pdu : each)),
      }
      const answer = await ask(hearth, 'PUT', `/_matrix/federation/v1/send/${txnId}`, body)
      if (answer.status !== 200) throw new Error(`send: ${answer.status} ${JSON.stringify(answer.body)}`)
      return answer.body.pdus
    },
  }
}

function isEvent(value: unknown): value is Event {
  return typeof value === 'object' && value !== null && 'pdu' in value
}

type SignedRequest = { method?: string; path: string; body?: object | undefined }

async function sendSigned(
  { dispatcher, signer }: { dispatcher: Agent; signer: PeerSigner },
  hearth: TestHearth,
  { method = 'GET', path, body }: SignedRequest,
) {
  const content = body && canonicalJson(body, { strict: false })
  const { serverName: origin, keyId } = signer
  const destination = hearth.serverName as ServerName
  const signature = signText(requestText({ method, uri: path, origin, destination, content }), signer.privateKey)
  const answer = await request(`https://localhost:${hearth.federationPort}${path}`, {
    dispatcher,
    method: method as 'GET',
    headers: { authorization: formatXMatrix({ origin, destination, keyId, signature }) },
    ...(content !== undefined && { body: content }),
  })
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  return { status: answer.statusCode, body: (await answer.body.json()) as any, headers: answer.headers }
}

/** A request that is signed with some key as that of `origin`, which need not be there. */
export async function signedRequest(
  federation: TestFederation,
  hearth: TestHearth,
  { origin, ...more }: SignedRequest & { origin: ServerName },
) {
  const dispatcher = new Agent({ connect: { ca: readFileSync(federation.authority.certificate) } })
  try {
    const signer = { ...signingKeyFromSeed('x', randomBytes(32)), serverName: origin }
    return await sendSigned({ dispatcher, signer }, hearth, more)
  } finally {
    await dispatcher.close()
  }
}

/** Returned by a lie that has answered by itself. */
const ANSWERED = Symbol('answered')

/** For lies that lie only now and then. */
function answerBadly(response: ServerResponse, answer: BadAnswer): typeof ANSWERED {
  BAD_ANSWERS[answer](response)
  return ANSWERED
}

type Peer = { rooms: Map<string, PeerRoom>; serverName: ServerName; key: SigningKey }

const HOUR_MS = 3_600_000
const NO_USER = '@nobody:localhost'

/** undefined: 404. */
function honestAnswer(peer: Peer, asked: Asked): unknown {
  const { rooms, serverName, key } = peer
  const parts = asked.path.split('/').slice(5).map(decodeURIComponent)
  switch (asked.kind) {
    case 'keys': {
      const verify_keys = { [key.keyId]: { key: key.publicKey } }
      const answer = { server_name: serverName, valid_until_ts: Date.now() + HOUR_MS, verify_keys, old_verify_keys: {} }
      return signJson(answer, serverName, key)
    }
    case 'event': {
      const event = [...rooms.values()].map((room) => room.find(parts[0] as EventId)).find(Boolean)
      return event && { origin: serverName, origin_server_ts: Date.now(), pdus: [event.pdu] }
    }
    case 'send':
      return { pdus: takeAll(peer, asked.body as { pdus?: Pdu[] }) }
    case 'profile':
      return { displayname: 'Peer' }
    case 'directory': {
      const [room] = rooms.keys()
      return room && { room_id: room, servers: [serverName] }
    }
    case 'devices':
      return { user_id: parts[0] ?? NO_USER, stream_id: 1, devices: [] }
    case 'query_keys':
      return { device_keys: {} }
    case 'claim_keys':
      return { one_time_keys: {} }
    case 'public_rooms':
      return { chunk: [], total_room_count_estimate: 0 }
    default: {
      const room = rooms.get(parts[0] ?? '')
      return room && roomAnswer(peer, room, { ...asked, parts })
    }
  }
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
    case 'hierarchy':
      return {
        room: {
          room_id: room.roomId,
          num_joined_members: 1,
          guest_can_join: false,
          world_readable: true,
          join_rule: 'public',
          children_state: [],
        },
        children: [],
        inaccessible_children: [],
      }
    default:
      return undefined
  }
}

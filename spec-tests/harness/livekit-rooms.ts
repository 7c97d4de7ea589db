import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { json } from 'node:stream/consumers'

/** The RoomService of a LiveKit, without media. It verifies the tokens of its callers. */
export type LivekitRooms = {
  /** Its address for the configuration key `calls.livekit.api_url`. */
  apiUrl: string
  apiKey: string
  secret: string
  /** The bodies of accepted requests to create rooms. */
  created: { name: string; [option: string]: unknown }[]
  /** The rooms whose participants were requested. */
  listed: string[]
  /** How it answers from now on. */
  behave(how: Behaviour): void
  /** The address to which it sends the webhook of a new room; absent: none. */
  webhookUrl: string | undefined
  /** Whether tokens let clients into rooms that do not exist. */
  createsRooms: boolean
  /** Participants are in a room from now on, or no longer. */
  connect(room: string, identity: string): void
  disconnect(room: string, identity: string): void
  stop(): Promise<void>
}

type Behaviour = 'properly' | 'not at all' | 'with an error' | { text: string }
type RoomRequest = { name: string; room: string; [option: string]: unknown }

const API_KEY = 'hearth-test'
const SECRET = 'a secret of LiveKit that only tests know'
const SERVICE = '/twirp/livekit.RoomService/'

export async function startLivekitRooms(): Promise<LivekitRooms> {
  const created: LivekitRooms['created'] = []
  const listed: string[] = []
  const participants = new Map<string, Set<string>>()
  const sockets = new Set<Duplex>()
  let behaviour: Behaviour = 'properly'

  /** Returns the answer; undefined if the token does not permit the request. */
  function answerTo({ url, headers }: IncomingMessage, body: RoomRequest): object | undefined {
    const video = verifiedClaims(headers.authorization?.replace(/^Bearer /, '') ?? '', SECRET)?.video
    if (url === `${SERVICE}CreateRoom` && video?.roomCreate) {
      created.push(body)
      return { sid: 'RM_test', name: body.name }
    }
    if (url === `${SERVICE}DeleteRoom` && video?.roomCreate) return {}
    if (url !== `${SERVICE}ListParticipants` || !video?.roomAdmin || video.room !== body.room) return undefined
    listed.push(body.room)
    const identities = [...(participants.get(body.room) ?? [])]
    return { participants: identities.map((identity) => ({ sid: `PA_${identity}`, identity, state: 'ACTIVE' })) }
  }

  const server = createServer(async (request, response) => {
    if (request.method === 'GET') return void answerClient(rooms, request, response)
    const body = (await json(request)) as RoomRequest
    if (behaviour === 'not at all') return void response.destroy()
    response.setHeader('Content-Type', 'application/json')
    if (behaviour === 'with an error') return void response.writeHead(503).end('{"code":"unavailable"}')
    if (typeof behaviour === 'object') return void response.end(behaviour.text)
    const answer = answerTo(request, body)
    if (!answer) return void response.writeHead(401).end('{"code":"unauthenticated"}')
    if (request.url === `${SERVICE}CreateRoom`) await announceRoom(rooms, body.name)
    response.end(JSON.stringify(answer))
  })
  server.on('upgrade', ({ headers }, socket) => {
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    const fields = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`]
    sockets.add(socket.on('error', () => {}))
    socket.write(['HTTP/1.1 101 Switching Protocols', ...fields, '', ''].join('\r\n'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const rooms: LivekitRooms = {
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: API_KEY,
    secret: SECRET,
    created,
    listed,
    webhookUrl: undefined,
    createsRooms: false,
    behave(how) {
      behaviour = how
    },
    connect: (room, identity) => participants.set(room, new Set(participants.get(room)).add(identity)),
    disconnect: (room, identity) => participants.get(room)?.delete(identity),
    stop: () => {
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return rooms
}

/** Answers a client that asks whether its token lets it in. */
function answerClient(
  { secret, createsRooms }: LivekitRooms,
  { url }: IncomingMessage,
  response: ServerResponse,
): void {
  const { pathname, searchParams } = new URL(url!, 'http://livekit')
  if (pathname !== '/rtc/validate') return void response.end('OK')
  if (!verifiedClaims(searchParams.get('access_token') ?? '', secret)) response.writeHead(401).end('invalid')
  else if (createsRooms) response.end('success')
  else response.writeHead(404).end('requested room does not exist')
}

async function announceRoom(rooms: LivekitRooms, room: string): Promise<void> {
  if (rooms.webhookUrl === undefined) return
  const body = webhookBody('room_started', { room })
  await sendWebhook(rooms.webhookUrl, body, webhookToken(rooms, body))
}

/** The body of a webhook. `event`: such as `participant_left`. */
export function webhookBody(
  event: string,
  { room, identity, reason }: { room: string; identity?: string; reason?: string },
): string {
  const participant = { sid: `PA_${identity}`, identity, disconnectReason: reason }
  return JSON.stringify({
    event,
    room: { sid: 'RM_test', name: room },
    ...(identity !== undefined && { participant }),
    id: `EV_${Math.random()}`,
    createdAt: `${Math.floor(Date.now() / 1000)}`,
  })
}

/** Signs the token of a webhook as LiveKit does. `changes`: to its claims. */
export function webhookToken(
  { apiKey, secret }: Pick<LivekitRooms, 'apiKey' | 'secret'>,
  body: string,
  changes: object = {},
): string {
  const now = Math.floor(Date.now() / 1000)
  const sha256 = createHash('sha256').update(body).digest('base64')
  return signToken(secret, { iss: apiKey, nbf: now, exp: now + 300, sha256, ...changes })
}

/** Returns a token signed by HS256. */
export function signToken(secret: string, claims: object, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

/** Sends a webhook to a homeserver. */
export async function sendWebhook(url: string, body: string, token: string): Promise<Response> {
  return fetch(`${url}/livekit/jwt/sfu_webhook`, {
    method: 'POST',
    headers: { 'content-type': 'application/webhook+json', authorization: token },
    body,
  })
}

// biome-ignore lint/suspicious/noExplicitAny: tests compare the claims
export type Claims = Record<string, any>

/** Returns the claims of a token that is signed by HS256, with the secret, and valid now; otherwise undefined. */
export function verifiedClaims(token: string, secret: string): Claims | undefined {
  const [header = '', payload = '', signature] = token.split('.')
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Claims
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')
  if (signature !== expected || parse(header).alg !== 'HS256') return undefined
  const claims = parse(payload)
  const now = Date.now() / 1000
  return claims.nbf <= now + 60 && claims.exp > now ? claims : undefined
}

import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

/** The RoomService of a LiveKit, without media. It verifies the tokens of its callers. */
export type LivekitRooms = {
  /** Its address for the configuration key `calls.livekit.api_url`. */
  apiUrl: string
  apiKey: string
  secret: string
  /** The bodies of accepted requests to create rooms. */
  created: { name: string; [option: string]: unknown }[]
  /** How it answers from now on. */
  behave(how: 'properly' | 'not at all' | 'with an error'): void
  stop(): Promise<void>
}

const API_KEY = 'hearth-test'
const SECRET = 'a secret of LiveKit that only tests know'

export async function startLivekitRooms(): Promise<LivekitRooms> {
  const created: LivekitRooms['created'] = []
  let behaviour: Parameters<LivekitRooms['behave']>[0] = 'properly'
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as LivekitRooms['created'][number]
    if (behaviour === 'not at all') return void response.destroy()
    response.setHeader('Content-Type', 'application/json')
    if (behaviour === 'with an error') return void response.writeHead(503).end('{"code":"unavailable"}')
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
    const claims = verifiedClaims(token, SECRET)
    if (request.url !== '/twirp/livekit.RoomService/CreateRoom' || !claims?.video.roomCreate)
      return void response.writeHead(401).end('{"code":"unauthenticated"}')
    created.push(body)
    response.end(JSON.stringify({ sid: 'RM_test', name: body.name }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: API_KEY,
    secret: SECRET,
    created,
    behave(how) {
      behaviour = how
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
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

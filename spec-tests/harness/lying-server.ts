import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { Agent } from 'undici'
import { canonicalJson } from '../../testing/matrix/canonical-json.ts'
import type { Event, ServerName } from '../../testing/matrix/pdu.ts'
import { signingKeyFromSeed } from '../../testing/matrix/signing.ts'
import { BAD_ANSWERS, type BadAnswer } from './bad-answers.ts'
import { createFederationChecks, type FederationChecks, NO_CHECKS } from './check-federation.ts'
import type { TestFederation } from './federation.ts'
import { type Asked, honestAnswer, type RawAnswer, REQUEST_KINDS, type RequestKind } from './honest-answers.ts'
import { PeerRoom, type PeerSigner, type RoomOptions } from './peer-room.ts'
import { type Asked as Home, sendSigned } from './signed-request.ts'

/**
 * Answers in place of the server: returns JSON, or ANSWERED after it has responded itself. undefined: the honest
 * response.
 */
type Answering = (asked: Asked, response: ServerResponse) => unknown

/** A homeserver scripted by tests: it has rooms, signs arbitrary events, and can lie. */
export type LyingServer = {
  serverName: ServerName
  port: number
  signer: PeerSigner
  rooms: Map<string, PeerRoom>
  /** Creates a public room of a user of its own. */
  room(options?: RoomOptions): PeerRoom
  /** All requests to it, in order. */
  asked: Asked[]
  count(kind: RequestKind): number
  /** Answers a kind of request badly, or by a function, from now on; undefined: honestly. */
  lie(kind: RequestKind, answer: BadAnswer | Answering | undefined): void
  /** Returns the honest response. */
  honestly(asked: Asked): unknown
  /** Signs further requests with another key; the previous one stays published. */
  changeKey(): void
  /** Sends a signed request to a process of a homeserver. */
  ask(home: Home, method: string, path: string, body?: object): ReturnType<typeof askSigned>
  /** Sends a transaction of events or arbitrary values, and returns the results by event ID. */
  send(home: Home, pdus: readonly unknown[], txnId?: string): Promise<Record<string, { error?: string }>>
  /** Sends a transaction of EDUs or arbitrary values. */
  sendEdus(home: Home, ...edus: unknown[]): Promise<void>
}

/** On a busy machine. */
const PATIENCE_MS = 60_000

/**
 * Starts one as `localhost:PORT`. `isChecked`: whether Hearth's requests are checked against the specification; not if
 * it repeats the server's inventions.
 */
export async function startLyingServer(federation: TestFederation, { isChecked = true } = {}): Promise<LyingServer> {
  const tls = federation.authority.issue('localhost')
  const ca = readFileSync(federation.authority.certificate)
  const dispatcher = new Agent({ connect: { ca, timeout: PATIENCE_MS }, connections: 32 })
  const rooms = new Map<string, PeerRoom>()
  const asked: Asked[] = []
  const lies = new Map<RequestKind | undefined, Answering>()
  const key = signingKeyFromSeed('peer', randomBytes(32))
  const newKey = signingKeyFromSeed('new', randomBytes(32))
  let requestKey = key
  const checks = isChecked ? createFederationChecks((roomId) => rooms.get(roomId)?.version.id) : NO_CHECKS

  const server = createServer(
    { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) },
    (incoming, response) => {
      // Hearth aborts requests that take too long.
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
    checks.end()
  })

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(incoming.url!, 'http://x')
    const kind = (Object.keys(REQUEST_KINDS) as RequestKind[]).find((each) => REQUEST_KINDS[each].test(pathname))
    const body = incoming.method === 'GET' ? undefined : await json(incoming)
    const request: Asked = { kind, method: incoming.method!, path: pathname, query, body }
    asked.push(request)
    checks.noteRequest({ method: request.method, path: incoming.url!, body })
    const lie = lies.get(kind)
    const answer = (lie ? await lie(request, response) : undefined) ?? honestly(request)
    if (answer === ANSWERED) return
    if (isRaw(answer)) return void response.writeHead(200, { 'content-type': answer.contentType }).end(answer.content)
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? { errcode: 'M_NOT_FOUND', error: 'Not here' }))
  }

  const honestly = (request: Asked) =>
    honestAnswer({ rooms, serverName, keys: requestKey === key ? [key] : [key, newKey] }, request)
  const ask = (hearth: Home, method: string, path: string, body?: object) =>
    askSigned({ dispatcher, signer: { ...requestKey, serverName }, checks }, hearth, { method, path, body })

  async function transact(hearth: Home, cargo: object, txnId = randomBytes(6).toString('hex')) {
    const body = { origin: serverName, origin_server_ts: Date.now(), ...cargo }
    const answer = await ask(hearth, 'PUT', `/_matrix/federation/v1/send/${txnId}`, body)
    if (answer.status !== 200) throw new Error(`send: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body.pdus
  }

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
    honestly,
    changeKey() {
      requestKey = newKey
    },
    ask,
    send: (hearth, pdus, txnId) =>
      transact(hearth, { pdus: pdus.map((each) => (isEvent(each) ? each.pdu : each)) }, txnId),
    async sendEdus(hearth, ...edus) {
      await transact(hearth, { pdus: [], edus })
    },
  }
}

function isEvent(value: unknown): value is Event {
  return typeof value === 'object' && value !== null && 'pdu' in value
}

type SignedRequest = { method?: string; path: string; body?: object | undefined }

async function askSigned(
  asker: { dispatcher: Agent; signer: PeerSigner; checks: FederationChecks },
  hearth: Home,
  { method = 'GET', path, body }: SignedRequest,
) {
  const content = body && canonicalJson(body)
  const { status, text, headers } = await sendSigned(asker, hearth, { method, path, body: content })
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  const result = { status, body: JSON.parse(text) as any, headers }
  asker.checks.checkAnswer({ method, path, body }, result)
  return result
}

/** Sends a request signed with some key as that of `origin`, which need not exist. */
export async function signedRequest(
  federation: TestFederation,
  hearth: Home,
  { origin, ...more }: SignedRequest & { origin: ServerName },
) {
  const dispatcher = new Agent({ connect: { ca: readFileSync(federation.authority.certificate) } })
  try {
    const signer = { ...signingKeyFromSeed('x', randomBytes(32)), serverName: origin }
    return await askSigned({ dispatcher, signer, checks: createFederationChecks() }, hearth, more)
  } finally {
    await dispatcher.close()
  }
}

function isRaw(answer: unknown): answer is RawAnswer {
  return typeof answer === 'object' && answer !== null && 'contentType' in answer
}

/** Returned by a lie that has responded itself. */
const ANSWERED = Symbol('answered')

/** For lies with a status other than 200. */
export function answerWith(response: ServerResponse, status: number, body: object): typeof ANSWERED {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  return ANSWERED
}

/** For lies that lie only sometimes. */
export function answerBadly(response: ServerResponse, answer: BadAnswer): typeof ANSWERED {
  BAD_ANSWERS[answer](response)
  return ANSWERED
}

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { Agent } from 'undici'
import { authEventKeys } from '../../testing/matrix/auth-event-keys.ts'
import { buildEvent, type EventDraft, signAnything, toEvent } from '../../testing/matrix/events.ts'
import type { EventId, Pdu, RoomId, ServerName, UserId } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { type Signer, signingKeyFromSeed, signJson } from '../../testing/matrix/signing.ts'
import { createFederationChecks } from './check-federation.ts'
import type { TestFederation } from './federation.ts'
import { type Asked, type Forgery, type PeerRequest, sendSigned } from './signed-request.ts'

/** A transaction of a homeserver. */
export type SentTransaction = { pdus: Pdu[]; edus: { edu_type: string; content: Record<string, unknown> }[] }

/** A server that has only a key: it sends what tests define, and accepts every transaction unless it is down. */
export type SigningPeer = {
  serverName: ServerName
  /** The received transactions, in order. */
  received: SentTransaction[]
  /** A user of it. */
  userId: UserId
  /** While set, it refuses transactions with 503. */
  isDown: boolean
  /** Its answers to requests of further paths, by the path without the query. */
  answers: Map<string, { status: number; body: object }>
  /** The paths of the requests that it has received, without the query. */
  paths: string[]
  send(server: Asked, request: PeerRequest, forgery?: Forgery): Promise<{ status: number; text: string }>
  /** Sends a request and returns the JSON; throws for any status other than 200. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  ask(server: Asked, method: string, path: string, body?: object): Promise<any>
  /** Joins a room with its user, and returns a later event of that user. */
  join(server: Asked, roomId: string): Promise<Pdu>
  /** Hashes and signs an event as far as possible. */
  sign(pdu: object, roomVersion: string): object
}

const HOUR_MS = 3_600_000
const SEND = '/_matrix/federation/v1/send/'

/**
 * Starts it as `localhost:PORT`. `isUnchecked`: does not check the traffic against the specification, from which
 * Synapse deviates.
 */
export async function startSigningPeer(federation: TestFederation, { isUnchecked = false } = {}): Promise<SigningPeer> {
  const tls = federation.authority.issue('localhost')
  const dispatcher = new Agent({ connect: { ca: readFileSync(federation.authority.certificate) }, connections: 8 })
  const key = signingKeyFromSeed('peer', randomBytes(32))
  const other = signingKeyFromSeed('peer', randomBytes(32))
  const checks = createFederationChecks()
  const received: SentTransaction[] = []
  const server = createServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, (asked, answer) => {
    // Its errors are those of a connection that closes early.
    handle(asked, answer).catch(() => answer.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const serverName = `localhost:${(server.address() as AddressInfo).port}` as ServerName
  const signer: Signer = { ...key, serverName }
  const userId = `@peer:${serverName}` as UserId
  federation.onDispose(async () => {
    server.closeAllConnections()
    server.close()
    await dispatcher.destroy()
    checks.end()
  })

  async function handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = asked.method === 'GET' ? undefined : await json(asked)
    if (!isUnchecked) checks.noteRequest({ method: asked.method!, path: asked.url!, body })
    const path = asked.url!.replace(/\?.*/, '')
    peer.paths.push(path)
    const further = peer.answers.get(path)
    if (further) {
      answer.writeHead(further.status, { 'content-type': 'application/json' })
      answer.end(JSON.stringify(further.body))
      return
    }
    if (peer.isDown && asked.url!.startsWith(SEND)) {
      answer.writeHead(503).end()
      return
    }
    const told = answerTo(asked.url!, body)
    answer.writeHead(told ? 200 : 404, { 'content-type': 'application/json' })
    answer.end(JSON.stringify(told ?? { errcode: 'M_NOT_FOUND', error: 'Not here' }))
  }

  function answerTo(path: string, body: unknown): object | undefined {
    if (path.startsWith('/_matrix/key/v2/server')) return ownKeys()
    if (!path.startsWith(SEND)) return undefined
    const { pdus, edus = [] } = body as SentTransaction
    received.push({ pdus, edus })
    return { pdus: {} }
  }

  function ownKeys(): object {
    const verify_keys = { [key.keyId]: { key: key.publicKey } }
    const keys = { server_name: serverName, valid_until_ts: Date.now() + HOUR_MS, verify_keys, old_verify_keys: {} }
    return signJson(keys, serverName, key)
  }

  async function send(asked: Asked, request: PeerRequest, forgery?: Forgery) {
    const privateKey = (forgery === 'with another key' ? other : key).privateKey
    const asker = { dispatcher, signer: { ...signer, privateKey } }
    const { status, text, headers } = await sendSigned(asker, asked, request, forgery)
    if (!isUnchecked && isJson(headers)) checks.checkAnswer(request, { status, body: JSON.parse(text) })
    return { status, text }
  }

  async function ask(asked: Asked, method: string, path: string, body?: object) {
    const { status, text } = await send(asked, { method, path, ...(body && { body: JSON.stringify(body) }) })
    if (status !== 200) throw new Error(`${method} ${path}: ${status} ${text}`)
    return JSON.parse(text)
  }

  async function join(asked: Asked, roomId: string): Promise<Pdu> {
    const [room, user] = [encodeURIComponent(roomId), encodeURIComponent(userId)]
    const versions = [...ROOM_VERSIONS.keys()].map((version) => `ver=${version}`).join('&')
    const template = await ask(asked, 'GET', `/_matrix/federation/v1/make_join/${room}/${user}?${versions}`)
    const version = ROOM_VERSIONS.get(template.room_version)!
    const { auth_event_ids, prev_event_ids } = toEvent(version, template.event, { event_id: '$none' as EventId })
    const cited = { auth_events: auth_event_ids, prev_events: prev_event_ids }
    const draft: EventDraft = { ...template.event, ...cited, origin: serverName, origin_server_ts: Date.now() }
    const joined = buildEvent(version, draft, signer)
    const path = `/_matrix/federation/v2/send_join/${room}/${encodeURIComponent(joined.event_id)}`
    const { state } = (await ask(asked, 'PUT', path, joined.pdu)) as { state: Pdu[] }
    const current = new Map(
      [...state.map((pdu) => toEvent(version, pdu)), joined].map((event) => [keyOf(event.pdu), event.event_id]),
    )
    const message = {
      type: 'm.room.message',
      sender: userId,
      content: { msgtype: 'm.text', body: 'from the peer' },
    }
    const next: EventDraft = {
      ...message,
      room_id: roomId as RoomId,
      origin_server_ts: Date.now(),
      depth: joined.pdu.depth + 1,
      prev_events: [joined.event_id],
      auth_events: authEventKeys(version, message).flatMap((wanted) => current.get(keyOf(wanted)) ?? []),
    }
    return buildEvent(version, next, signer).pdu
  }

  const sign = (pdu: object, roomVersion: string) => signAnything(pdu, roomVersion, signer)

  const scripted = { received, isDown: false, answers: new Map(), paths: [] }
  const peer: SigningPeer = { serverName, userId, ...scripted, send, ask, join, sign }
  return peer
}

function isJson(headers: Record<string, string | string[] | undefined>): boolean {
  return String(headers['content-type']).startsWith('application/json')
}

function keyOf({ type, state_key }: { type: string; state_key?: string }): string {
  return `${type}\0${state_key}`
}

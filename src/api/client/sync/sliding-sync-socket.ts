import type { IncomingMessage } from 'node:http'
import type { RawData, WebSocket } from 'ws'
import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import type { Lanes } from '../../../infra/concurrency/lanes.ts'
import { findSession, requireUnlocked } from '../../../services/users/sessions.ts'
import { countBytes } from '../../http/count-bytes.ts'
import { networkOf } from '../../http/network-of.ts'
import type { Session } from '../../http/route.ts'
import { SOCKET_PATH } from '../../http/upgrade-request.ts'
import { type ClientMessage, type Conversation, parseMessage, startConversation } from './sliding-sync-conversation.ts'

/** How long a client may take to authenticate. */
const AUTHENTICATION_MS = 10_000
/**
 * Interval of pings. A client that has not answered by the next ping is disconnected. The token is also checked again.
 */
const PING_MS = 30_000
/** When a client with too many sockets may retry. */
const RETRY_MS = 30_000
/** How long a client has to answer the close frame when the server stops. */
const FAREWELL_MS = 1000
/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4: going away, internal error; and codes of this protocol. */
const CLOSE = { goingAway: 1001, fault: 1011, badMessage: 4400, unauthenticated: 4401, tooMany: 4429 } as const

/** Limits the sockets of each user. A place is held until the socket closes. */
export type SocketPlaces = Lanes<UserId>

/** Serves sliding sync over a socket: docs/websocket.md. `ip`: the client's address. */
export function serveSlidingSocket(
  app: App,
  socket: WebSocket,
  { raw, ip, places }: { raw: IncomingMessage; ip: string; places: SocketPlaces },
): void {
  let token = bearerOf(raw)
  let session: Session | undefined
  let conversation: Conversation | undefined
  const closed = Promise.withResolvers<void>()
  const who = () => session?.userId ?? networkOf(ip)
  const { send, tell, refuse } = createSender(app, socket, who)
  const deadline = token === undefined ? setTimeout(() => refuse(unauthenticated()), AUTHENTICATION_MS) : undefined

  async function sessionNow(): Promise<Session> {
    if (token === undefined) throw unauthenticated()
    const found = await findSession(app, { accessToken: token, ip, userAgent: raw.headers['user-agent'] })
    requireUnlocked(found)
    return found
  }

  async function authenticate(): Promise<void> {
    clearTimeout(deadline)
    const found = await sessionNow()
    if (session && (found.userId !== session.userId || found.deviceId !== session.deviceId)) throw otherDevice()
    if (conversation) return
    if (!places(found.userId, () => closed.promise)) throw tooManySockets()
    session = found
    conversation = startConversation(app, found, {
      send: (response, request) => send({ type: 'response', request, response }),
      fail: tell,
    })
  }

  async function take(message: ClientMessage): Promise<void> {
    // Messages count as the requests that they stand for. Acknowledgements need no limit: each answers one response.
    const isCounted = message.type !== 'ack' && !session?.exemptFromRateLimits
    if (isCounted && !(await app.rateLimiter.take('default', who()).then(() => true, tell))) return
    if (message.type === 'authenticate') {
      token = message.access_token
      return authenticate()
    }
    if (!conversation) throw unauthenticated()
    if (message.type === 'ack') conversation.ack(message.pos)
    else conversation.request(message.request)
  }

  const countTraffic = trafficCounter(app, raw)
  receiveInTurn(socket, { first: token === undefined ? undefined : authenticate, take, refuse })
  watch(app, socket, () => {
    countTraffic()
    if (conversation) sessionNow().catch(refuse)
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    clearTimeout(deadline)
    closed.resolve()
    countTraffic()
    conversation?.close()
  })
}

/** Returns a function that adds to the figures what the connection has received and sent since it was last called. */
function trafficCounter({ metrics }: App, { socket, headers }: IncomingMessage): () => void {
  const bytes = countBytes(socket)
  const client = metrics.clientKind(headers)
  return () => metrics.countBytes({ route: SOCKET_PATH, client, ...bytes() })
}

/** The conversation would outlive the session for which it was begun. */
function otherDevice(): MatrixError {
  return new ForbiddenError('This connection belongs to another device. Open a new one.')
}

type Sender = {
  send(message: object): void
  /** Sends an error. */
  tell(error: unknown): void
  /** Sends an error and closes the socket. */
  refuse(error: unknown): void
}

/** `owner` returns the key to which unread responses are counted. */
function createSender(app: App, socket: WebSocket, owner: () => string): Sender {
  function send(message: object): void {
    if (socket.readyState !== socket.OPEN) return
    const bytes = Buffer.from(JSON.stringify(message))
    let looks = 0
    // Pings detect clients that read nothing at all.
    const release = app.unreadAnswers.hold({
      owner: owner(),
      bytes: bytes.length,
      taken: () => ++looks,
      abandon: () => socket.terminate(),
    })
    socket.send(bytes, { binary: false }, release)
  }
  function tell(error: unknown): void {
    const known = error instanceof MatrixError
    if (!known) app.logger.error({ err: error }, 'WebSocket connection failed')
    send({ type: 'error', ...(known ? error.toJSON() : { errcode: 'M_UNKNOWN', error: 'Internal server error' }) })
  }
  function refuse(error: unknown): void {
    tell(error)
    socket.close(closeCodeOf(error))
  }
  return { send, tell, refuse }
}

/**
 * Handles messages one after the other, after `first`. Reading pauses while one is handled, so that messages do not
 * pile up in memory.
 */
function receiveInTurn(
  socket: WebSocket,
  {
    first = async () => {},
    take,
    refuse,
  }: {
    first: (() => Promise<void>) | undefined
    take(message: ClientMessage): Promise<void>
    refuse(error: unknown): void
  },
): void {
  let waiting = 0
  let taking = first().catch(refuse)
  socket.on('message', (data: RawData, isBinary: boolean) => {
    waiting++
    socket.pause()
    taking = taking
      .then(async () => {
        if (socket.readyState !== socket.OPEN) return
        if (isBinary) throw new MatrixError(400, 'M_NOT_JSON', 'Messages are text')
        await take(parseMessage(data as Buffer))
      })
      .catch(refuse)
      .finally(() => {
        waiting--
        if (waiting === 0) socket.resume()
      })
  })
}

/** Closes a socket whose client has gone, or when the server stops. `look` runs at each ping. */
function watch(app: App, socket: WebSocket, look: () => void): void {
  let isAlive = true
  const timer = setInterval(() => {
    if (!isAlive) socket.terminate()
    else socket.ping()
    isAlive = false
    look()
  }, PING_MS)
  const stop = () => {
    socket.close(CLOSE.goingAway, 'the server stops')
    setTimeout(() => socket.terminate(), FAREWELL_MS).unref()
  }
  app.stopping.addEventListener('abort', stop)
  socket.on('pong', () => {
    isAlive = true
  })
  socket.on('close', () => {
    clearInterval(timer)
    app.stopping.removeEventListener('abort', stop)
  })
}

function closeCodeOf(error: unknown): number {
  if (!(error instanceof MatrixError)) return CLOSE.fault
  return { 401: CLOSE.unauthenticated, 429: CLOSE.tooMany }[error.status] ?? CLOSE.badMessage
}

function tooManySockets(): MatrixError {
  return new MatrixError(429, 'M_LIMIT_EXCEEDED', 'You have too many WebSockets. Close one first.', {
    retry_after_ms: RETRY_MS,
  })
}

function unauthenticated(): MatrixError {
  return new MatrixError(401, 'M_MISSING_TOKEN', 'An access token is needed')
}

function bearerOf({ headers }: IncomingMessage): string | undefined {
  const header = headers.authorization
  return header?.slice(0, 7).toLowerCase() === 'bearer ' ? header.slice(7).trim() : undefined
}

import type { IncomingMessage } from 'node:http'
import type { RawData, WebSocket } from 'ws'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { findSession } from '../../services/users/sessions.ts'
import { networkOf } from '../http/network-of.ts'
import type { Session } from '../http/route.ts'
import { type ClientMessage, type Conversation, parseMessage, startConversation } from './sliding-sync-conversation.ts'

/** How long a client may take to say who it is. */
const AUTHENTICATION_MS = 10_000
/** So often clients are pinged; who has not answered by the next time is gone. The token is looked up again too. */
const PING_MS = 30_000
/** How long a client has to answer that the server stops. */
const FAREWELL_MS = 1000
/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4: going away; and codes of our own. */
const CLOSE = { goingAway: 1001, unauthenticated: 4401, badMessage: 4400 } as const

/** Holds the conversation of sliding sync over a socket: docs/websocket.md. `ip`: the client's address. */
export function serveSlidingSocket(
  app: App,
  socket: WebSocket,
  { raw, ip }: { raw: IncomingMessage; ip: string },
): void {
  let token = bearerOf(raw)
  let conversation: Conversation | undefined
  let userId: string | undefined
  let isAlive = true
  const deadline = token === undefined ? setTimeout(() => refuse(unauthenticated()), AUTHENTICATION_MS) : undefined
  const ping = setInterval(checkUp, PING_MS)
  const stop = () => {
    socket.close(CLOSE.goingAway, 'the server stops')
    setTimeout(() => socket.terminate(), FAREWELL_MS).unref()
  }
  app.stopping.addEventListener('abort', stop)

  const send = (message: object) => {
    if (socket.readyState !== socket.OPEN) return
    const bytes = Buffer.from(JSON.stringify(message))
    let looks = 0
    // Whether a client reads at all, pings tell.
    const release = app.unreadAnswers.hold({
      owner: userId ?? networkOf(ip),
      bytes: bytes.length,
      taken: () => ++looks,
      abandon: () => socket.terminate(),
    })
    socket.send(bytes, { binary: false }, release)
  }
  const tell = (error: unknown) => {
    const known = error instanceof MatrixError
    if (!known) app.logger.error({ err: error }, 'a conversation by WebSocket failed')
    send({ type: 'error', ...(known ? error.toJSON() : { errcode: 'M_UNKNOWN', error: 'Internal server error' }) })
  }
  function refuse(error: unknown): void {
    tell(error)
    const isToken = error instanceof MatrixError && error.status === 401
    socket.close(isToken ? CLOSE.unauthenticated : CLOSE.badMessage)
  }

  async function sessionNow(): Promise<Session> {
    if (token === undefined) throw unauthenticated()
    const session = await findSession(app, { accessToken: token, ip, userAgent: raw.headers['user-agent'] })
    if (session.isLocked)
      throw new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked', { soft_logout: true })
    return session
  }

  async function authenticate(): Promise<void> {
    clearTimeout(deadline)
    const session = await sessionNow()
    userId = session.userId
    conversation ??= startConversation(app, session, {
      send: (response, request) => send({ type: 'response', request, response }),
      fail: tell,
    })
  }

  async function take(message: ClientMessage): Promise<void> {
    if (message.type === 'authenticate') {
      token = message.access_token
      return authenticate()
    }
    if (!conversation) throw unauthenticated()
    if (message.type === 'ack') conversation.ack(message.pos)
    else conversation.request(message.request)
  }

  function checkUp(): void {
    if (!isAlive) socket.terminate()
    else socket.ping()
    isAlive = false
    if (conversation) sessionNow().catch(refuse)
  }

  // One after the other: what comes while a token is looked up waits for that.
  let taking = token === undefined ? Promise.resolve() : authenticate().catch(refuse)
  socket.on('message', (data: RawData, isBinary: boolean) => {
    taking = taking.then(async () => {
      if (isBinary) throw new MatrixError(400, 'M_NOT_JSON', 'Messages are text')
      await take(parseMessage(data.toString()))
    })
    taking = taking.catch(refuse)
  })
  socket.on('pong', () => {
    isAlive = true
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    clearTimeout(deadline)
    clearInterval(ping)
    app.stopping.removeEventListener('abort', stop)
    conversation?.close()
  })
}

function unauthenticated(): MatrixError {
  return new MatrixError(401, 'M_MISSING_TOKEN', 'An access token is needed')
}

function bearerOf({ headers }: IncomingMessage): string | undefined {
  const header = headers.authorization
  return header?.slice(0, 7).toLowerCase() === 'bearer ' ? header.slice(7).trim() : undefined
}

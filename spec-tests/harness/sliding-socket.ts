import { WebSocket } from 'ws'
import type { TestUser } from './client.ts'
import type { SlidingBody } from './sliding-client.ts'

type Asked = { conn_id?: string; pos?: string; [key: string]: unknown }
/** How to authenticate: by a header, or like browsers in the first message. */
type Options = { authenticate?: 'header' | 'message' | 'not' }

/**
 * A reference client of sliding sync over a WebSocket, see docs/websocket.md. It reconnects when the connection breaks.
 */
export type SlidingSocket = {
  /** Sends a request that continues after the last response. */
  request(asked: Asked): void
  /** Returns the next response and acknowledges it, so that the following one can come. */
  next(): Promise<SlidingBody>
  /** Returns whether `next` would resolve immediately. */
  hasNext(): boolean
  /** Breaks the connection, like a bad network. */
  drop(): void
  close(): void
}

const PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'

/** Connects as a user. */
export function openSlidingSocket(user: Pick<TestUser, 'url' | 'accessToken'>, options: Options = {}): SlidingSocket {
  const { authenticate = 'header' } = options
  let asked: Asked | undefined
  let pos: string | undefined
  let toDevice: string | undefined
  let socket: WebSocket
  /** The number of requests on this socket. */
  let requests = 0
  let isClosed = false
  const responses: (SlidingBody | Error)[] = []
  const waiting: { resolve(body: SlidingBody): void; reject(error: Error): void }[] = []

  function give(outcome: SlidingBody | Error): void {
    const first = waiting.shift()
    if (!first) responses.push(outcome)
    else if (outcome instanceof Error) first.reject(outcome)
    else first.resolve(outcome)
  }

  function connect(): void {
    const headers = authenticate === 'header' ? { Authorization: `Bearer ${user.accessToken}` } : {}
    socket = new WebSocket(user.url.replace(/^http/, 'ws') + PATH, { headers })
    requests = 0
    socket.on('open', () => {
      if (authenticate === 'message') say({ type: 'authenticate', access_token: user.accessToken })
      ask()
    })
    socket.on('message', (data) => hear(JSON.parse(String(data))))
    socket.on('error', () => {})
    socket.on('close', (code) => {
      if (code >= 4000) give(new Error(`closed with ${code}`))
      else if (!isClosed) setTimeout(connect, 20)
    })
  }

  function say(message: object): void {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message))
  }

  function ask(): void {
    if (!asked || socket.readyState !== socket.OPEN) return
    responses.length = 0
    requests++
    const { extensions } = asked as { extensions?: { to_device?: object } }
    const since = toDevice !== undefined && extensions?.to_device && { since: toDevice }
    const resumed = since ? { extensions: { ...extensions, to_device: { ...extensions.to_device, ...since } } } : {}
    say({ type: 'request', request: { ...asked, ...resumed, pos } })
  }

  function hear(message: { type: string; request?: number; response?: SlidingBody; errcode?: string }): void {
    if (message.type === 'response') {
      if (message.request === requests) give(message.response!)
    } else if (message.errcode !== 'M_UNKNOWN_POS') give(new Error(message.errcode))
    else {
      pos = undefined
      ask()
    }
  }

  function taken(body: SlidingBody): SlidingBody {
    pos = body.pos
    toDevice = body.extensions.to_device?.next_batch ?? toDevice
    say({ type: 'ack', pos })
    return body
  }

  connect()
  return {
    request(wanted) {
      asked = wanted
      ask()
    },
    async next() {
      const outcome = responses.shift() ?? (await new Promise((resolve, reject) => waiting.push({ resolve, reject })))
      if (outcome instanceof Error) throw outcome
      return taken(outcome as SlidingBody)
    },
    hasNext: () => responses.length > 0,
    drop() {
      responses.length = 0
      socket.terminate()
    },
    close() {
      isClosed = true
      socket.close()
    },
  }
}

import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { serveSlidingSocket } from '../client/sliding-sync-socket.ts'
import { networkOf } from './network-of.ts'

/** Where clients find the conversation of sliding sync. */
const SOCKET_PATH = '/_matrix/client/unstable/hearth.sliding_sync_websocket'
/** A request with a hundred lists, each with all that it may have, is smaller. */
const MAX_MESSAGE_BYTES = 1024 * 1024

/** Lets WebSockets begin on a server of HTTP. */
export function serveUpgrades(
  app: App,
  { server, trustForwardedFor }: { server: Server; trustForwardedFor: boolean },
): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false })
  server.on('upgrade', (raw, connection, head) => {
    const ip = addressOf(raw, trustForwardedFor)
    accept(app, raw, ip).then(
      () => sockets.handleUpgrade(raw, connection, head, (socket) => serveSlidingSocket(app, socket, { raw, ip })),
      (error: unknown) => reject(connection, error),
    )
  })
}

async function accept({ rateLimiter }: App, raw: IncomingMessage, ip: string): Promise<void> {
  if (raw.url?.split('?')[0] !== SOCKET_PATH) throw new MatrixError(404, 'M_UNRECOGNIZED', 'Unrecognized request')
  await rateLimiter.take('default', networkOf(ip))
}

function reject(connection: Duplex, error: unknown): void {
  const known = error instanceof MatrixError ? error : new MatrixError(500, 'M_UNKNOWN', 'Internal server error')
  const body = JSON.stringify(known.toJSON())
  connection.end(
    `HTTP/1.1 ${known.status} ${STATUS_CODES[known.status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** As koa sees it: the first address that the proxies name. */
function addressOf({ headers, socket }: IncomingMessage, trustForwardedFor: boolean): string {
  const forwarded = trustForwardedFor ? headers['x-forwarded-for'] : undefined
  const first = typeof forwarded === 'string' ? forwarded.split(',')[0]?.trim() : undefined
  return first || (socket.remoteAddress ?? '')
}

import { type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { createLanes } from '../../../infra/concurrency/lanes.ts'
import { clientAddress } from '../../http/client-address.ts'
import { networkOf } from '../../http/network-of.ts'
import { type SocketPlaces, serveSlidingSocket } from './sliding-sync-socket.ts'

/** Larger than any valid request: a hundred lists, each of maximum size, fit. */
const MAX_MESSAGE_BYTES = 1024 * 1024
/** How long a client has to answer the close frame. */
const CLOSE_MS = 5000

/** Accepts WebSockets on an HTTP server, for the requests that `isUpgrade` selects. */
export function serveUpgrades(app: App, { server, trustedProxies }: { server: Server; trustedProxies: number }): void {
  const limits = { maxPayload: MAX_MESSAGE_BYTES, closeTimeout: CLOSE_MS }
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, ...limits })
  const places: SocketPlaces = createLanes({ each: app.config.limits.counts.websockets, waiting: 0 })
  server.on('upgrade', (raw, connection, head) => {
    // Node has removed its own listener: without one, an error would end the process.
    connection.on('error', () => connection.destroy())
    const ip = clientAddress(raw, trustedProxies)
    const begin = () =>
      sockets.handleUpgrade(raw, connection, head, (socket) => serveSlidingSocket(app, socket, { raw, ip, places }))
    app.rateLimiter
      .take('default', networkOf(ip))
      .then(begin)
      .catch((error: unknown) => reject(app, connection, error))
  })
}

/** Sends an error response and closes: otherwise the connection would stay half open until the client closes it. */
function reject(app: App, connection: Duplex, error: unknown): void {
  if (!(error instanceof MatrixError)) app.logger.error({ err: error }, 'WebSocket upgrade failed')
  const known = error instanceof MatrixError ? error : new MatrixError(500, 'M_UNKNOWN', 'Internal server error')
  const body = JSON.stringify(known.toJSON())
  connection.end(
    `HTTP/1.1 ${known.status} ${STATUS_CODES[known.status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => connection.destroy(),
  )
}

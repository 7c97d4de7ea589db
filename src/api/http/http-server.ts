import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { Server as NetServer } from 'node:net'
import type { ListenerConfig } from '../../config.ts'
import type { Logger } from '../../infra/logger.ts'
import { isUpgrade } from './upgrade-request.ts'

/** How long a request in flight may take once the server stops, in milliseconds. */
const GRACE_MS = 10_000
/** How long clients have to use, for a last time, a connection that they keep. */
const DRAIN_MS = 2000
const LONGEST_UPLOAD_MS = 6 * 60 * 60 * 1000
const LONGEST_HEAD_MS = 20_000

/**
 * Listens as configured. `requestTimeout`: milliseconds that a client has to send a request. Throws if the port is in
 * use.
 */
export async function listen(
  { logger }: { logger: Logger },
  listener: ListenerConfig,
  { handler, requestTimeout }: { handler: RequestListener; requestTimeout: number },
): Promise<Server> {
  const headersTimeout = Math.min(requestTimeout, LONGEST_HEAD_MS)
  const options = {
    // Uploads may take long; http/body.ts limits the time of other bodies.
    requestTimeout: Math.max(requestTimeout, LONGEST_UPLOAD_MS),
    headersTimeout,
    connectionsCheckingInterval: headersTimeout / 4,
    keepAliveTimeout: 75_000,
    shouldUpgradeCallback: listener.serves.includes('client') ? isUpgrade : () => false,
  }
  const server = listener.tls
    ? createHttpsServer({ ...options, ...readCertificate(listener.tls), handshakeTimeout: headersTimeout }, handler)
    : createHttpServer(options, handler)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listener.port, listener.bind, () => {
      server.off('error', reject)
      resolve()
    })
  })
  // Accepting a connection can fail, for instance when too many files are open. Existing connections continue.
  server.on('error', (error) => logger.error({ err: error, port: listener.port }, 'listener error'))
  return server
}

/**
 * Stops accepting connections, and lets clients close those that they have: responses say `Connection: close`. Resolves
 * when none is left, or the remaining ones have been idle or busy for two seconds. Closing a connection at once would
 * fail a request that is on its way. `responses`: those in flight.
 */
export async function drainServer(server: Server, responses: ReadonlySet<ServerResponse>): Promise<void> {
  const askToClose = (response: ServerResponse) => {
    if (!response.headersSent) response.setHeader('Connection', 'close')
  }
  server.prependListener('request', (_request, response) => askToClose(response))
  for (const response of responses) askToClose(response)
  // The method of HTTP servers also closes idle connections.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, DRAIN_MS))])
}

/** Returns the responses of a server that are not finished. */
export function trackResponses(server: Server): ReadonlySet<ServerResponse> {
  const responses = new Set<ServerResponse>()
  server.on('request', (_request, response: ServerResponse) => {
    responses.add(response)
    response.once('close', () => responses.delete(response))
  })
  return responses
}

/** Stops accepting connections, and waits for requests in flight. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), GRACE_MS)
    // Keep-alive connections become idle when their last response is sent.
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    server.close(() => {
      clearTimeout(force)
      clearInterval(sweep)
      resolve()
    })
  })
}

function readCertificate({ certificate, key }: NonNullable<ListenerConfig['tls']>): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(certificate), key: readFileSync(key) }
}

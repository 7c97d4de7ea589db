import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { endpointsFor } from './api/endpoints.ts'
import { createHttpApp } from './api/http/http-app.ts'
import { serveUpgrades } from './api/http/upgrades.ts'
import type { App } from './app.ts'
import type { Config, ListenerConfig } from './config.ts'
import { openApp } from './open-app.ts'
import { jobHandlers } from './services/admin/job-handlers.ts'
import { startTelling } from './services/appservices/start-telling.ts'
import { startCompleting } from './services/federation/start-completing.ts'
import { startEdus } from './services/federation/start-edus.ts'
import { startReceiving } from './services/federation/start-receiving.ts'
import { startSending } from './services/federation/start-sending.ts'
import { startMediaSweeps } from './services/media/sweep-media.ts'
import { startPresence } from './services/presence/start-presence.ts'
import { startPush } from './services/push/start-push.ts'
import { prepareNoticesUser } from './services/rooms/server-notices.ts'
import { startDelayedEvents } from './services/rooms/start-delayed-events.ts'
import { startIndexing } from './services/search/start-indexing.ts'
import { startSettling } from './services/sync/settle-room-lists.ts'

/** A server that runs. */
export type RunningServer = {
  addresses: { bind: string; port: number; tls: boolean }[]
  /** Stops gracefully: waiting requests are answered, writes finish, then the database closes. */
  close(): Promise<void>
}

/** How long requests under way may take once the server stops. */
const GRACE_MS = 10_000
const LONGEST_UPLOAD_MS = 6 * 60 * 60 * 1000

/** Starts a server as configured. Throws when a port is taken, the data folder is in use, or the database cannot be reached. */
export async function startServer(config: Config): Promise<RunningServer> {
  const { app, stop, close } = await openApp(config)
  try {
    await prepareNoticesUser(app)
    const servers = await listenOnAll(app, config)
    const sweeps = startMediaSweeps(app)
    const presence = await startPresence(app)
    const indexing = startIndexing(app)
    const push = await startPush(app)
    const sending = await startSending(app)
    const edus = await startEdus(app)
    const telling = await startTelling(app)
    app.jobs.start(jobHandlers(app))
    const receiving = startReceiving(app)
    const completing = startCompleting(app)
    const delayedEvents = startDelayedEvents(app)
    const settling = startSettling(app)
    return {
      addresses: servers.map(({ listener, server }) => ({
        bind: listener.bind,
        port: (server.address() as AddressInfo).port,
        tls: listener.tls !== undefined,
      })),
      close: async () => {
        stop()
        await Promise.all(servers.map(({ server }) => closeServer(server)))
        await sweeps.stop()
        await presence.stop()
        await indexing.stop()
        await push.stop()
        await edus.stop()
        await sending.stop()
        await telling.stop()
        await app.jobs.stop()
        await receiving.stop()
        await completing.stop()
        await delayedEvents.stop()
        await settling.stop()
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function listenOnAll(app: App, config: Config): Promise<{ listener: ListenerConfig; server: Server }[]> {
  const servers: { listener: ListenerConfig; server: Server }[] = []
  try {
    for (const listener of config.listeners) {
      const http = createHttpApp(app, {
        endpoints: endpointsFor(listener.serves, config.federation.enabled),
        trustForwardedFor: listener.trust_forwarded_for,
      })
      const server = await listen(listener, http.callback(), config)
      servers.push({ listener, server })
      if (listener.serves.includes('client')) {
        serveUpgrades(app, { server, trustForwardedFor: listener.trust_forwarded_for })
      }
    }
    return servers
  } catch (error) {
    await Promise.all(servers.map(({ server }) => closeServer(server)))
    throw error
  }
}

function listen(
  listener: ListenerConfig,
  handler: ReturnType<import('koa')['callback']>,
  config: Config,
): Promise<Server> {
  const headersTimeout = Math.min(config.limits.request_timeout, 20_000)
  const timeouts = {
    // Uploads may take long; for other bodies http/body.ts keeps to the configured time.
    requestTimeout: Math.max(config.limits.request_timeout, LONGEST_UPLOAD_MS),
    headersTimeout,
    connectionsCheckingInterval: headersTimeout / 4,
    keepAliveTimeout: 75_000,
  }
  const server = listener.tls
    ? createHttpsServer(
        { ...timeouts, cert: readFileSync(listener.tls.certificate), key: readFileSync(listener.tls.key) },
        handler,
      )
    : createHttpServer(timeouts, handler)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(listener.port, listener.bind, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), GRACE_MS)
    // Connections that are kept alive go idle as soon as their last answer is sent.
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    server.close(() => {
      clearTimeout(force)
      clearInterval(sweep)
      resolve()
    })
  })
}

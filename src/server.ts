import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serveUpgrades } from './api/client/sync/upgrades.ts'
import { endpointsFor } from './api/endpoints.ts'
import { createHttpApp } from './api/http/http-app.ts'
import { closeServer, drainServer, listen, trackResponses } from './api/http/http-server.ts'
import type { App } from './app.ts'
import type { Config, ListenerConfig } from './config.ts'
import type { Logger } from './infra/logger.ts'
import type { Metrics } from './infra/metrics.ts'
import { openApp } from './open-app.ts'
import { startTransactionSenders } from './services/appservices/start-transaction-senders.ts'
import { startReceiving } from './services/federation/inbound/start-receiving.ts'
import { startResync } from './services/federation/joining/start-resync.ts'
import { startEdus } from './services/federation/outbound/start-edus.ts'
import { startSending } from './services/federation/outbound/start-sending.ts'
import { startFigures } from './services/figures/start-figures.ts'
import { jobHandlers } from './services/jobs/job-handlers.ts'
import { startMediaSweeps } from './services/media/sweep-media.ts'
import { startCleaning } from './services/membership/deletion/clean-rooms.ts'
import { startPresence } from './services/presence/start-presence.ts'
import { startPush } from './services/push/start-push.ts'
import { startDelayedEvents } from './services/rooms/delayed/start-delayed-events.ts'
import { prepareNoticesUser } from './services/rooms/lifecycle/server-notices.ts'
import { startTypingExpiry } from './services/rooms/sending/start-typing.ts'
import { startDelegations } from './services/rtc/start-delegations.ts'
import { startIndexing } from './services/search/start-indexing.ts'
import { startSettling } from './services/sync/sliding/settle-room-lists.ts'
import { startAccountValidity } from './services/users/account-validity.ts'
import { startAuditLog } from './services/users/administration/audit-log.ts'

/** A running server. */
export type RunningServer = {
  addresses: { bind: string; port: number; tls: boolean }[]
  logger: Logger
  metrics: Metrics
  /** Stops accepting connections, and serves those that clients keep for up to two seconds; then `close` it. */
  drain(): Promise<void>
  /** Stops gracefully: waiting requests are answered, writes finish, then the database closes. */
  close(): Promise<void>
}

/**
 * Starts a server as configured. Throws if a port is taken, the data folder is in use, or the database is unreachable;
 * then everything is closed again.
 */
export async function startServer(config: Config): Promise<RunningServer> {
  await using running = new AsyncDisposableStack()
  const { app, stop } = running.use(await openApp(config))
  // Listeners start before the workers, because other servers send requests back when they receive something. They also
  // stop before them.
  const workers = running.use(new AsyncDisposableStack())
  const listeners = running.use(new AsyncDisposableStack())
  // Waiting requests are aborted first.
  running.defer(stop)
  await prepareNoticesUser(app)
  const addresses: RunningServer['addresses'] = []
  const drains: (() => Promise<void>)[] = []
  for (const listener of config.listeners) {
    const server = await openListener(app, listener)
    listeners.defer(() => closeServer(server))
    const responses = trackResponses(server)
    drains.push(() => drainServer(server, responses))
    const { port } = server.address() as AddressInfo
    addresses.push({ bind: listener.bind, port, tls: listener.tls !== undefined })
  }
  await startWorkers(app, (worker) => workers.defer(() => worker.stop()))
  const started = running.move()
  const { logger, metrics } = app
  const drain = async () => void (await Promise.all(drains.map((each) => each())))
  return { addresses, logger, metrics, drain, close: () => started.disposeAsync() }
}

async function openListener(app: App, listener: ListenerConfig): Promise<Server> {
  const { trusted_proxies: trustedProxies } = listener
  const endpoints = endpointsFor(listener.serves, app.config)
  const http = createHttpApp(app, { endpoints, trustedProxies })
  const { request_timeout: requestTimeout } = app.config.limits
  const server = await listen(app, listener, { handler: http.callback(), requestTimeout })
  if (listener.serves.includes('client')) serveUpgrades(app, { server, trustedProxies })
  return server
}

/** Calls `started` as soon as each worker runs, so that it is stopped even if a later one fails to start. */
async function startWorkers(app: App, started: (worker: { stop(): Promise<void> }) => void): Promise<void> {
  started(startMediaSweeps(app))
  started(await startPresence(app))
  started(startIndexing(app))
  started(await startPush(app))
  started(await startSending(app))
  started(await startEdus(app))
  started(await startTransactionSenders(app))
  app.jobs.start(jobHandlers(app))
  started(app.jobs)
  started(startReceiving(app))
  started(startResync(app))
  started(startDelayedEvents(app))
  started(startDelegations(app))
  started(startTypingExpiry(app))
  started(startAccountValidity(app))
  started(startCleaning(app))
  started(startAuditLog(app))
  started(startSettling(app))
  started(startFigures(app))
}

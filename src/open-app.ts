import type { App } from './app.ts'
import type { Config } from './config.ts'
import { createAppserviceClient } from './infra/appservice-client.ts'
import { systemClock } from './infra/clock.ts'
import { createFederationClient } from './infra/federation-client.ts'
import { createFederationConnections, type FederationConnections } from './infra/federation-connections.ts'
import { createIdentityClient } from './infra/identity-client.ts'
import { createJobRunner } from './infra/job-runner.ts'
import { createKeyRing } from './infra/key-ring.ts'
import { createLogger } from './infra/logger.ts'
import { createMailer } from './infra/mailer.ts'
import { createMetrics } from './infra/metrics.ts'
import { createPasswordHasher } from './infra/password-hasher.ts'
import { systemRandom } from './infra/random.ts'
import { createRateLimiter } from './infra/rate-limiter.ts'
import { loadSigningKey, recordOwnKey } from './infra/signing-key.ts'
import { startStreamTail } from './infra/stream-tail.ts'
import { createMediaStore } from './services/media/media-store.ts'
import { migrate } from './storage/migrate.ts'
import { createNidSource } from './storage/nids.ts'
import { openDatabase } from './storage/open-database.ts'
import { createRoomTransactions } from './storage/room-transactions.ts'

const PREPARE_AFTER_MS = 1000

/** What services need, open. `close` lets writes finish, then closes the database; `stop` tells those who wait that the end is near. */
export type OpenApp = { app: App; stop(): void; close(): Promise<void> }

/** Opens and migrates the database and makes what services need, without listening. Throws when the data folder is in use, or the database cannot be reached. */
export async function openApp(config: Config): Promise<OpenApp> {
  const logger = createLogger(config.log)
  const database = await openDatabase({
    url: config.database.url,
    folder: config.data_dir,
    poolSize: config.database.pool_size,
    cacheBytes: config.database.cache_size,
    reportError: (error) => logger.error({ err: error }, 'database trouble'),
  })
  const stopping = new AbortController()
  const cleanUp: (() => Promise<unknown> | unknown)[] = [() => database.close()]
  const close = async () => {
    stopping.abort()
    for (const step of cleanUp.splice(0).reverse()) await step()
  }
  try {
    await migrate(database)
    const metrics = createMetrics()
    metrics.watchPool(database.poolStatus)
    metrics.watchCaches(database.caches.counts)
    cleanUp.push(() => metrics.close())
    const stream = await startStreamTail(database, logger)
    cleanUp.push(() => stream.stop())
    const rooms = createRoomTransactions(database, {
      lanes: database.engine === 'pglite' ? 1 : 2,
      serverName: config.server_name,
    })
    cleanUp.push(() => rooms.drained())
    const signingKey = await loadSigningKey(database, config.signing_key, systemRandom)
    await recordOwnKey(database, signingKey, systemClock)
    const connections = openConnections(config)
    cleanUp.push(() => connections.close())
    // Neither the start nor the first request of another server has to wait for it.
    const preparing = config.federation.enabled ? setTimeout(connections.prepare, PREPARE_AFTER_MS).unref() : undefined
    cleanUp.push(() => clearTimeout(preparing))
    const peers = { serverName: config.server_name, signingKey, clock: systemClock, database }
    const federation = createFederationClient({ ...peers, enabled: config.federation.enabled, connections })
    const appservices = createAppserviceClient(systemClock)
    cleanUp.push(() => appservices.close())
    const jobs = createJobRunner({
      database,
      clock: systemClock,
      random: systemRandom,
      logger,
      stopping: stopping.signal,
    })
    cleanUp.push(() => jobs.stop())
    const { enabled: isLimited, ...rates } = config.rate_limits
    const rateLimiter = createRateLimiter({ rates: isLimited ? rates : {}, database, clock: systemClock, logger })
    cleanUp.push(() => rateLimiter.stop())
    const mailer = await createMailer(config.email)
    cleanUp.push(() => mailer?.close())
    const app: App = {
      config,
      serverName: config.server_name,
      database,
      rooms,
      takeNids: createNidSource(),
      stream,
      signingKey,
      federation,
      appservices,
      identity: createIdentityClient(connections.anywhere),
      keyRing: createKeyRing({ ...peers, federation, notaries: config.federation.trusted_notaries }),
      passwordHasher: createPasswordHasher(config.passwords),
      rateLimiter,
      media: createMediaStore(config.media, logger),
      jobs,
      mailer,
      clock: systemClock,
      random: systemRandom,
      logger,
      metrics,
      stopping: stopping.signal,
    }
    return { app, stop: () => stopping.abort(), close }
  } catch (error) {
    await close()
    throw error
  }
}

function openConnections({ federation }: Config): FederationConnections {
  const { trusted_certificates: trustedCertificates, allow_private_addresses: allowPrivateAddresses } = federation
  return createFederationConnections({ trustedCertificates, allowPrivateAddresses }, systemClock)
}

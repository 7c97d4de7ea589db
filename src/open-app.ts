import type { App } from './app.ts'
import { buildApp } from './build-app.ts'
import { readJwtKey } from './config/jwt.ts'
import type { Config } from './config.ts'
import { systemClock } from './infra/clock.ts'
import { createJobRunner } from './infra/concurrency/job-runner.ts'
import { createRateLimiter } from './infra/concurrency/rate-limiter.ts'
import { createAskedLanes } from './infra/federation/asked-lanes.ts'
import { createFederationClient } from './infra/federation/federation-client.ts'
import { createFederationConnections, type FederationConnections } from './infra/federation/federation-connections.ts'
import { createKeyRing } from './infra/federation/key-ring.ts'
import { openSigningKeys } from './infra/federation/signing-keys.ts'
import { createAppserviceClient } from './infra/http/appservice-client.ts'
import { createIdentityClient } from './infra/http/identity-client.ts'
import { createOutgoingHttp } from './infra/http/outgoing-http.ts'
import { createPageAgent, createPageFetch } from './infra/http/page-fetch.ts'
import { createTrust } from './infra/http/trusted-connections.ts'
import { createUnreadAnswers, type UnreadLimits } from './infra/http/unread-answers.ts'
import { createLogger } from './infra/logger.ts'
import { createMailer } from './infra/mail/mailer.ts'
import { createScan } from './infra/media/scanner.ts'
import { createMetrics } from './infra/metrics.ts'
import { openObjectStores } from './infra/object-store/open-object-stores.ts'
import { systemRandom } from './infra/random.ts'
import { createUpstreamProviders } from './infra/sign-in/upstream-providers.ts'
import { startStreamTail } from './infra/stream-tail.ts'
import { createDirectory } from './infra/users/directory.ts'
import { createJwtVerifier } from './infra/users/jwt-verifier.ts'
import { createPasswordHasher, type ImportedSecrets } from './infra/users/password-hasher.ts'
import { createMediaStore } from './services/media/media-store.ts'
import { createPageLanes } from './services/media/preview-url.ts'
import type { Database } from './storage/engine/database.ts'
import { migrate } from './storage/engine/migrate.ts'
import { createNidSource } from './storage/engine/nids.ts'
import { openDatabase } from './storage/engine/open-database.ts'
import type { TimeLimits } from './storage/engine/pool.ts'
import { ARGON2_SECRET, findServerSecret, PASSWORD_PEPPER } from './storage/engine/server-secrets.ts'
import { requireFinishedImport } from './storage/import/imports.ts'
import { createRoomTransactions } from './storage/rooms/room-transactions.ts'

const PREPARE_AFTER_MS = 1000
/** Of an answer with a page or an image: headers and chunks. */
const PAGE_OVERHEAD_BYTES = 1024 * 1024

/** An app with open resources. Disposing waits for writes, then closes the database; `stop` aborts waiting requests. */
export type OpenApp = AsyncDisposable & { app: App; stop(): void }

/**
 * Opens and migrates the database and creates the app, without listening. Throws if the data folder is in use or the
 * database is unreachable. The log goes to `logOutput`.
 */
export async function openApp(config: Config, logOutput: NodeJS.WritableStream = process.stdout): Promise<OpenApp> {
  await using opened = new AsyncDisposableStack()
  const logger = createLogger(config.log, logOutput)
  const metrics = createMetrics({
    figures: config.figures.enabled,
    folders: [config.data_dir, config.media.storage_dir],
  })
  opened.defer(() => metrics.close())
  const { database, stream, rooms } = await openStorage(config, opened, { logger, metrics })
  const connections = openConnections(config, opened)
  const stopping = new AbortController()
  const basis = { database, clock: systemClock, random: systemRandom, logger }
  const signingKeys = await openSigningKeys({ ...basis, stream, file: config.signing_key })
  opened.defer(() => signingKeys.stop())
  const jobs = createJobRunner({ ...basis, stopping: stopping.signal })
  opened.defer(() => jobs.stop())
  const rateLimiter = createRateLimiter({ rates: limitedRates(config), database, clock: systemClock, logger })
  opened.defer(() => rateLimiter.stop())
  const unreadAnswers = createUnreadAnswers({ clock: systemClock, logger }, unreadLimits(config))
  opened.defer(() => unreadAnswers.stop())
  const configured = await openConfigured(config, opened, { trust: connections.trust, logger })
  const peers = { serverName: config.server_name, signingKeys, clock: systemClock, database }
  const lanes = createAskedLanes(config.limits.remote_requests)
  const { enabled, servers } = config.federation
  const requestEnded = metrics.recorder.requestToPeer
  const federation = createFederationClient({ ...peers, enabled, servers, connections, logger, requestEnded })
  const app = buildApp({
    config,
    serverName: config.server_name,
    database,
    rooms,
    takeNids: createNidSource(),
    stream,
    signingKeys,
    federation,
    lanes,
    transfers: createAskedLanes(config.limits.remote_requests),
    pageLanes: createPageLanes(config),
    ...createHttpClients(connections, logger),
    fetchPage: openPageFetch(config, opened, connections),
    identityProviders: createUpstreamProviders(config.identity_providers, systemClock, connections.configured),
    keyRing: createKeyRing({ ...peers, federation, lanes, notaries: config.federation.trusted_notaries }),
    passwordHasher: createPasswordHasher(config.passwords, await importedSecrets(database)),
    rateLimiter,
    unreadAnswers,
    media: await openMedia(config.media, { connections, logger }),
    jobs,
    ...configured,
    clock: systemClock,
    random: systemRandom,
    logger,
    metrics,
    stopping: stopping.signal,
  })
  const stop = () => stopping.abort()
  opened.defer(stop)
  const kept = opened.move()
  return { app, stop, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Opens and migrates the database, and follows its stream. `opened` closes both. */
async function openStorage(
  config: Config,
  opened: AsyncDisposableStack,
  { logger, metrics }: Pick<App, 'logger' | 'metrics'>,
): Promise<Pick<App, 'database' | 'stream' | 'rooms'>> {
  const database = await openDatabase({
    url: config.database.url,
    folder: config.data_dir,
    poolSize: config.database.pool_size,
    cacheBytes: config.database.cache_size,
    timeLimits: timeLimits(config),
    reportTimeout: (what) => metrics.databaseTimeouts.inc({ what }),
    reportError: (error) => logger.error({ err: error }, 'database error'),
    ...(config.figures.enabled && { observer: { now: () => performance.now(), ...metrics.recorder } }),
  })
  opened.defer(() => database.close())
  await migrate(database)
  await requireFinishedImport(database)
  metrics.watchPool(database.poolStatus)
  metrics.addToFigures(() => database.stored)
  metrics.watchCaches(database.caches.counts)
  const stream = await startStreamTail(database, logger)
  opened.defer(() => stream.stop())
  const rooms = createRoomTransactions(database, {
    lanes: database.engine === 'pglite' ? 1 : 2,
    serverName: config.server_name,
    clock: systemClock,
  })
  opened.defer(() => rooms.drained())
  return { database, stream, rooms }
}

/** Opens what the configuration names outside: the mail server, and what else proves who users are. */
async function openConfigured(
  { email, ldap, jwt, federation }: Config,
  opened: AsyncDisposableStack,
  { trust, logger }: Pick<FederationConnections, 'trust'> & Pick<App, 'logger'>,
): Promise<Pick<App, 'mailer' | 'directory' | 'jwtVerifier'>> {
  const mailer = await createMailer(email, trust)
  opened.defer(() => mailer?.close())
  const ldapTrust = ldap.ca === undefined ? trust : createTrust([...federation.trusted_certificates, ldap.ca])
  const directory = await createDirectory(ldap, { trust: ldapTrust, logger })
  opened.defer(() => directory?.close())
  return { mailer, directory, jwtVerifier: await createJwtVerifier(jwt, { clock: systemClock, readKey: readJwtKey }) }
}

function limitedRates({ rate_limits: { enabled, ...rates } }: Config): Partial<typeof rates> {
  return enabled ? rates : {}
}

function timeLimits({ database }: Config): TimeLimits {
  return {
    statement: database.statement_timeout,
    lock: database.lock_timeout,
    idleTransaction: database.idle_transaction_timeout,
  }
}

function unreadLimits({ limits: { totals, answer_timeout: timeout } }: Config): UnreadLimits {
  return { ofOwner: totals.unread_answers_of_user, ofAll: totals.unread_answers, timeout }
}

async function openMedia(
  config: Config['media'],
  { connections, logger }: { connections: FederationConnections; logger: App['logger'] },
): Promise<App['media']> {
  const stores = await openObjectStores(config, logger)
  return createMediaStore(config, { stores, scan: createScan(config.scanner, connections.configured), logger })
}

function createHttpClients(
  { anywhere, configured }: FederationConnections,
  logger: App['logger'],
): Pick<App, 'appservices' | 'identity' | 'http' | 'configuredHttp'> {
  return {
    appservices: createAppserviceClient(systemClock, configured),
    identity: createIdentityClient(anywhere, logger),
    http: createOutgoingHttp(anywhere),
    configuredHttp: createOutgoingHttp(configured),
  }
}

function openPageFetch(
  { url_previews }: Config,
  opened: AsyncDisposableStack,
  { trust }: Pick<FederationConnections, 'trust'>,
): App['fetchPage'] {
  const { allow_private_addresses: allowPrivateAddresses, max_page_size, max_image_size } = url_previews
  const maxReceived = Math.max(max_page_size, max_image_size) + PAGE_OVERHEAD_BYTES
  const agent = createPageAgent({ trust, allowPrivateAddresses, maxReceived })
  opened.defer(() => agent.destroy())
  return createPageFetch(agent)
}

function openConnections({ federation }: Config, opened: AsyncDisposableStack): FederationConnections {
  const { trusted_certificates: trustedCertificates, allow_private_addresses: allowPrivateAddresses } = federation
  const connections = createFederationConnections({ trustedCertificates, allowPrivateAddresses }, systemClock)
  opened.defer(() => connections.close())
  // Runs later, so that neither the start nor the first request of another server waits for it.
  const preparing = federation.enabled ? setTimeout(connections.prepare, PREPARE_AFTER_MS).unref() : undefined
  opened.defer(() => clearTimeout(preparing))
  return connections
}

async function importedSecrets(database: Database): Promise<ImportedSecrets> {
  const [pepper, argon2] = await Promise.all(
    [PASSWORD_PEPPER, ARGON2_SECRET].map((name) => findServerSecret(database, name)),
  )
  return { pepper, argon2 }
}

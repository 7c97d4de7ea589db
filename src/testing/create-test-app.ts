import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { z } from 'zod'
import type { App, Capabilities } from '../app.ts'
import { buildApp } from '../build-app.ts'
import type { configSchema } from '../config/schema.ts'
import { type Config, defaultConfig } from '../config.ts'
import type { UserId } from '../core/ids.ts'
import { signingKeyFromSeed } from '../core/signing/signing-key.ts'
import { type Clock, fixedClock } from '../infra/clock.ts'
import { createJobRunner } from '../infra/concurrency/job-runner.ts'
import { createRateLimiter } from '../infra/concurrency/rate-limiter.ts'
import { createAskedLanes } from '../infra/federation/asked-lanes.ts'
import { createFederationClient } from '../infra/federation/federation-client.ts'
import { createFederationConnections } from '../infra/federation/federation-connections.ts'
import { createKeyRing } from '../infra/federation/key-ring.ts'
import { createAppserviceClient } from '../infra/http/appservice-client.ts'
import { createIdentityClient } from '../infra/http/identity-client.ts'
import { createOutgoingHttp } from '../infra/http/outgoing-http.ts'
import { createPageFetch } from '../infra/http/page-fetch.ts'
import { createUnreadAnswers } from '../infra/http/unread-answers.ts'
import { createMetrics } from '../infra/metrics.ts'
import { createDiskStore } from '../infra/object-store/disk.ts'
import type { ObjectStores } from '../infra/object-store/object-stores.ts'
import { systemRandom } from '../infra/random.ts'
import { createUpstreamProviders } from '../infra/sign-in/upstream-providers.ts'
import { startStreamTail } from '../infra/stream-tail.ts'
import { createPasswordHasher } from '../infra/users/password-hasher.ts'
import { createMediaStore } from '../services/media/media-store.ts'
import { createPageLanes } from '../services/media/preview-url.ts'
import type { Database } from '../storage/engine/database.ts'
import { createNidSource } from '../storage/engine/nids.ts'
import { createRoomTransactions } from '../storage/rooms/room-transactions.ts'
import { insertUser } from '../storage/users/users.ts'
import { createTestDatabase } from './test-database.ts'

export type TestClock = Clock & { advance(milliseconds: number): void }
/** An `App`. `close` stops its work, and closes the database unless the test has opened that. */
export type TestApp<AClock extends Clock = TestClock> = Omit<App, 'clock'> & {
  readonly clock: AClock
  close(): Promise<void>
}
export type TestOverrides<AClock extends Clock = TestClock> = Partial<
  Omit<Capabilities, 'config' | 'serverName' | 'clock'>
> & {
  /** Keys that differ from `CONFIG`. */
  config?: z.input<typeof configSchema>
  clock?: AClock
  /** Local users to insert. */
  users?: readonly UserId[]
}

/** The fixed clock of tests, in milliseconds since 1970. */
export const START = 1_700_000_000_000
const CONFIG = {
  server_name: 'hearth.test',
  passwords: { memory_kib: 64, iterations: 1 },
  rate_limits: { enabled: false },
}
/** More bytes than any test leaves unread. */
const UNREAD_LIMITS = { ofOwner: 1e9, ofAll: 1e9, timeout: 60_000 }

/**
 * Creates an `App` as `openApp` does, with an in-memory PGlite, a stopped clock, a fixed key, and no access to other
 * servers. `overrides` replace components, also for components built from them.
 */
export async function createTestApp<AClock extends Clock = TestClock>(
  overrides: TestOverrides<AClock> = {},
): Promise<TestApp<AClock>> {
  const { config: keys, users = [], ...given } = overrides
  const ended = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'hearth-app-'))
  ended.defer(() => rmSync(folder, { recursive: true, force: true }))
  const config = defaultConfig({ ...CONFIG, data_dir: folder, ...keys })
  const database = given.database ?? ended.adopt(await createTestDatabase(), (made) => made.close())
  await insertUsers(database, users)
  const clock = given.clock ?? (fixedClock(START) as Clock as AClock)
  const logger = given.logger ?? pino({ level: 'silent' })
  const stopping = new AbortController()
  const basis = {
    config,
    serverName: config.server_name,
    database,
    clock,
    random: systemRandom,
    logger,
    metrics: ended.adopt(createMetrics(), (metrics) => metrics.close()),
    signingKeys: { current: signingKeyFromSeed('a', Buffer.alloc(32, 1)) },
    stopping: stopping.signal,
    ...given,
  }
  const outside = outsideMembers(basis, ended)
  const app = buildApp({ ...basis, ...(await storageMembers(basis, ended)), ...outside, ...given })
  ended.defer(() => stopping.abort())
  return { ...app, clock, close: () => ended.disposeAsync() }
}

type Basis = Pick<
  Capabilities,
  'config' | 'serverName' | 'database' | 'clock' | 'random' | 'logger' | 'metrics' | 'signingKeys' | 'stopping'
> &
  Partial<Capabilities>

async function storageMembers({ database, serverName, clock, logger, ...basis }: Basis, ended: AsyncDisposableStack) {
  const stream = basis.stream ?? ended.adopt(await startStreamTail(database, logger), (tail) => tail.stop())
  const rooms = createRoomTransactions(database, { lanes: 1, serverName, clock })
  return {
    stream,
    rooms: ended.adopt(rooms, () => rooms.drained()),
    takeNids: createNidSource(),
    jobs: ended.adopt(createJobRunner({ ...basis, database, clock, logger }), (jobs) => jobs.stop()),
  }
}

function outsideMembers({ config, serverName, database, clock, logger, ...basis }: Basis, ended: AsyncDisposableStack) {
  const { enabled, ...rates } = config.rate_limits
  const trust = { trustedCertificates: [], allowPrivateAddresses: false }
  const connections = ended.adopt(createFederationConnections(trust, clock), (all) => all.close())
  const peers = { serverName, signingKeys: basis.signingKeys, clock, database }
  const federation = basis.federation ?? createFederationClient({ ...peers, enabled: false, connections })
  const lanes = basis.lanes ?? createAskedLanes(config.limits.remote_requests)
  return {
    federation,
    lanes,
    transfers: createAskedLanes(config.limits.remote_requests),
    pageLanes: createPageLanes(config),
    keyRing: createKeyRing({ ...peers, federation, lanes, notaries: config.federation.trusted_notaries }),
    appservices: createAppserviceClient(clock, connections.configured),
    identity: createIdentityClient(connections.anywhere, logger),
    http: createOutgoingHttp(connections.anywhere),
    configuredHttp: createOutgoingHttp(connections.configured),
    fetchPage: createPageFetch(connections.anywhere),
    identityProviders: createUpstreamProviders(config.identity_providers, clock, connections.configured),
    mailer: undefined,
    media: createMediaStore(config.media, { stores: diskOnly(config), scan: undefined, logger }),
    directory: undefined,
    jwtVerifier: undefined,
    passwordHasher: createPasswordHasher(config.passwords),
    rateLimiter: ended.adopt(createRateLimiter({ rates: enabled ? rates : {}, database, clock, logger }), (limiter) =>
      limiter.stop(),
    ),
    unreadAnswers: ended.adopt(createUnreadAnswers({ clock, logger }, UNREAD_LIMITS), (answers) => answers.stop()),
  }
}

function diskOnly({ media }: Config): ObjectStores {
  return { current: 'disk', disk: createDiskStore(media.storage_dir), s3: undefined }
}

async function insertUsers(database: Database, users: readonly UserId[]): Promise<void> {
  if (users.length === 0) return
  await database.write(async (tx) => {
    for (const user_id of users)
      await insertUser(tx, { user_id, password_hash: null, is_admin: false, is_guest: false, created_ts: START })
  })
}

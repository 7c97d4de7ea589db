import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { roomEndpoints } from '../api/client/room-routes.ts'
import { createHttpApp } from '../api/http/http-app.ts'
import type { AnyEndpoint } from '../api/http/route.ts'
import type { App } from '../app.ts'
import { buildApp } from '../build-app.ts'
import { defaultConfig } from '../config.ts'
import type { DeviceId, RoomId, ServerName, UserId } from '../core/ids.ts'
import { signingKeyFromSeed } from '../core/signing/signing-key.ts'
import { systemClock } from '../infra/clock.ts'
import { createJobRunner } from '../infra/concurrency/job-runner.ts'
import { createRateLimiter } from '../infra/concurrency/rate-limiter.ts'
import { createUnreadAnswers } from '../infra/http/unread-answers.ts'
import { createMetrics } from '../infra/metrics.ts'
import { systemRandom } from '../infra/random.ts'
import { startStreamTail } from '../infra/stream-tail.ts'
import { createPasswordHasher } from '../infra/users/password-hasher.ts'
import { jobHandlers } from '../services/admin/job-handlers.ts'
import { hashToken } from '../services/users/tokens.ts'
import type { Database } from '../storage/engine/database.ts'
import { createNidSource } from '../storage/engine/nids.ts'
import { createRoomTransactions } from '../storage/rooms/room-transactions.ts'
import { findRoomHead } from '../storage/rooms/timeline/room-heads.ts'
import { readAllState } from '../storage/rooms/timeline/room-state.ts'
import { insertUser } from '../storage/users/users.ts'
import { createTestDatabase } from './test-database.ts'
import { createNoFederation, createTestLanes } from './test-federation.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
type Answer = { status: number; body: any }

/** A user with a device who sends HTTP requests to the server under test. */
export type TestClient = {
  userId: UserId
  ask(method: string, path: string, body?: unknown): Promise<Answer>
  /** Sends a request that must succeed, and returns its body. */
  // biome-ignore lint/suspicious/noExplicitAny: see Answer
  ok(method: string, path: string, body?: unknown): Promise<any>
  createRoom(options?: object): Promise<RoomId>
}

/** Starts the room endpoints on an in-memory database. `database` shares one with another server, as processes do. */
export async function startClientApi(options: { database?: Database; endpoints?: readonly AnyEndpoint[] } = {}) {
  const app = await createApp(options.database ?? (await createTestDatabase()))
  const endpoints = options.endpoints ?? roomEndpoints
  const server = createServer(createHttpApp(app, { endpoints, trustedProxies: 0 }).callback())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/_matrix/client/v3`
  return {
    app,
    client: (name: string, account: Account = {}) => createClient(app, url, name, account),
    /** Returns the current state of a room as `type|state_key` → content. */
    state: (roomId: RoomId) => stateOf(app, roomId),
    /** Counts all events, rooms and aliases. */
    counts: () => countRows(app),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await app.jobs.stop()
      await app.rooms.drained()
      await app.stream.stop()
      app.metrics.close()
      app.unreadAnswers.stop()
      if (!options.database) await app.database.close()
    },
  }
}

type Account = { deviceId?: string; guest?: boolean; admin?: boolean; suspended?: boolean }

async function createApp(database: Database): Promise<App> {
  const logger = pino({ level: 'error' })
  const config = defaultConfig({ server_name: 'hearth.test' })
  const stopping = new AbortController().signal
  const app = buildApp({
    config,
    serverName: 'hearth.test' as ServerName,
    database,
    rooms: createRoomTransactions(database, { lanes: 1, serverName: 'hearth.test' as ServerName }),
    takeNids: createNidSource(),
    stream: await startStreamTail(database, logger),
    signingKey: signingKeyFromSeed('a', Buffer.alloc(32, 1)),
    federation: createNoFederation('hearth.test' as ServerName),
    lanes: createTestLanes(),
    transfers: createTestLanes(),
    passwordHasher: createPasswordHasher(config.passwords),
    rateLimiter: createRateLimiter({ rates: {}, database, clock: systemClock, logger }),
    unreadAnswers: createUnreadAnswers({ clock: systemClock, logger }, { ofOwner: 1e9, ofAll: 1e9, timeout: 60_000 }),
    clock: systemClock,
    random: systemRandom,
    logger,
    metrics: createMetrics(),
    jobs: createJobRunner({ database, clock: systemClock, random: systemRandom, logger, stopping }),
    stopping,
  } as Partial<App> as App)
  app.jobs.start(jobHandlers(app))
  return app
}

async function createClient(app: App, url: string, name: string, account: Account): Promise<TestClient> {
  const userId = `@${name}:hearth.test` as UserId
  const token = systemRandom.token(20)
  const deviceId = (account.deviceId ?? systemRandom.token(8)) as DeviceId
  await app.database.write(async (tx) => {
    const { guest = false, admin = false, suspended = false } = account
    const user = { user_id: userId, password_hash: null, is_guest: guest, is_admin: admin, created_ts: 0 }
    await insertUser(tx, user)
    await tx.sql.updateTable('users').set({ suspended }).where('user_id', '=', userId).execute()
    const device = { user_id: userId, device_id: deviceId, created_ts: 0 } as never
    await tx.sql
      .insertInto('devices')
      .values(device)
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    const access = { token_hash: hashToken(token), user_id: userId, device_id: deviceId } as never
    await tx.sql.insertInto('access_tokens').values(access).execute()
  })
  const ask = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(url + path, {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    return { status: response.status, body: await response.json() }
  }
  const ok: TestClient['ok'] = async (method, path, body) => {
    const answer = await ask(method, path, body)
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  return { userId, ask, ok, createRoom: async (options = {}) => (await ok('POST', '/createRoom', options)).room_id }
}

async function stateOf(app: App, roomId: RoomId) {
  const head = await findRoomHead(app.database, roomId)
  const events = await readAllState(app.database, head?.state_root ?? 0)
  return Object.fromEntries(events.map(({ pdu }) => [`${pdu.type}|${pdu.state_key}`, pdu.content]))
}

async function countRows(app: App) {
  const count = async (table: 'events' | 'rooms' | 'room_aliases' | 'room_heads' | 'stream' | 'state_packs') =>
    (
      await app.database.sql
        .selectFrom(table)
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
    ).count
  return {
    events: await count('events'),
    rooms: await count('rooms'),
    heads: await count('room_heads'),
    aliases: await count('room_aliases'),
    stream: await count('stream'),
    packs: await count('state_packs'),
  }
}

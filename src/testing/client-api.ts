import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { roomEndpoints } from '../api/client/room-endpoints.ts'
import { createHttpApp } from '../api/http/http-app.ts'
import type { AnyEndpoint } from '../api/http/route.ts'
import type { App } from '../app.ts'
import type { DeviceId, RoomId, UserId } from '../core/ids.ts'
import { type Clock, systemClock } from '../infra/clock.ts'
import { systemRandom } from '../infra/random.ts'
import { jobHandlers } from '../services/jobs/job-handlers.ts'
import { hashToken } from '../services/users/tokens.ts'
import { findRoomHead } from '../storage/rooms/timeline/room-heads.ts'
import { readAllState } from '../storage/rooms/timeline/room-state.ts'
import { insertUser } from '../storage/users/users.ts'
import { createTestApp, type TestOverrides } from './create-test-app.ts'

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

/** Starts the endpoints of rooms, or those given, on an app of its own; `overrides` as for `createTestApp`. */
export async function startClientApi(options: TestOverrides<Clock> & { endpoints?: readonly AnyEndpoint[] } = {}) {
  const { endpoints = roomEndpoints, ...overrides } = options
  const app = await createTestApp({ clock: systemClock as Clock, ...overrides })
  app.jobs.start(jobHandlers(app))
  const server = createServer(createHttpApp(app, { endpoints, trustedProxies: 0 }).callback())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const url = `${origin}/_matrix/client/v3`
  return {
    app,
    origin,
    client: (name: string, account: Account = {}) => createClient(app, url, name, account),
    /** Returns the current state of a room as `type|state_key` → content. */
    state: (roomId: RoomId) => stateOf(app, roomId),
    /** Counts all events, rooms and aliases. */
    counts: () => countRows(app),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await app.close()
    },
  }
}

type Account = { deviceId?: string; guest?: boolean; admin?: boolean; suspended?: boolean }

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

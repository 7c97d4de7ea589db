import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { Agent, request as send } from 'undici'
import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { createTestAuthority } from '../../testing/test-authority.ts'
import { type Answer, logIn, registerUser, type TestUser } from '../harness/client.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { createRoom, roomPath, v1, v3 } from '../harness/rooms.ts'
import { startSigningPeer } from '../harness/signing-peer.ts'
import { type StubServer, startStub, startTarpit } from '../harness/stub-server.ts'

/** Small, so that a row reaches them in a moment. */
const LIMITS = { user: 4, users: 20, server: 4, servers: 8, network: 3, networks: 6, waiting: 100 }
const name = encodeURIComponent

let networks = 0
/** Sends requests from a network of its own. */
function stranger(): (url: string, path: string, body?: object, method?: string) => Promise<Response> {
  const address = `203.0.113.${++networks}`
  return (url, path, body, method = body ? 'POST' : 'GET') =>
    fetch(url + path, {
      method,
      headers: { 'x-forwarded-for': address, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
}

type Flood = (
  world: HostileWorld,
  tarpit: StubServer,
) => Promise<readonly Promise<unknown>[]> | readonly Promise<unknown>[]

/**
 * Returns a row about requests that lead to servers which never respond: only `each` run concurrently, and others are
 * served in the meantime, except anonymous clients if these have taken all their places.
 */
function flood(what: string, each: number, requests: Flood): Attack {
  return {
    name: what,
    async attempt(world) {
      const tarpit = await startTarpit()
      try {
        const asked = await requests(world, tarpit)
        for (const one of asked) one.catch(() => {})
        await pollUntil('the tarpit is asked', () => tarpit.open() > 0)
        await expectServed(world, { servesStrangers: each < LIMITS.networks })
        expect(tarpit.most()).toBeLessThanOrEqual(each * world.processes.length)
        tarpit.close()
        await Promise.allSettled(asked)
      } finally {
        tarpit.close()
      }
    },
  }
}

/**
 * Asserts that a new server with unknown keys is served, and that a user and an anonymous client get data of another
 * server.
 */
async function expectServed(
  { federation, home, roomId, url, alice }: HostileWorld,
  { servesStrangers = true } = {},
): Promise<void> {
  const peer = await startSigningPeer(federation)
  await peer.join(home, roomId)
  const profile = `${v3}/profile/${name(peer.userId)}`
  const refused = { status: 404, errcode: 'M_NOT_FOUND' }
  const asUser = await alice.ask('GET', profile)
  expect({ status: asUser.status, errcode: asUser.body.errcode }).toEqual(refused)
  if (!servesStrangers) return
  const asStranger = await stranger()(url, profile)
  expect({ status: asStranger.status, errcode: ((await asStranger.json()) as Answer['body']).errcode }).toEqual(refused)
}

/** 40 requests of one anonymous client. */
const strangers =
  (path: (server: string) => string): Flood =>
  ({ url }, tarpit) => {
    const one = stranger()
    return tarpit.names(40).map((server) => one(url, path(server)))
  }

/** 20 requests of one user. */
const ofUser =
  (request: (user: TestUser, server: string, place: number) => Promise<unknown>): Flood =>
  async ({ url }, tarpit) => {
    const mallory = await registerUser(url)
    return tarpit.names(20).map((server, place) => request(mallory, server, place))
  }

const keysOf = (servers: readonly string[]) => ({ server_keys: Object.fromEntries(servers.map((each) => [each, {}])) })
const usersOn = (servers: readonly string[]) => Object.fromEntries(servers.map((server) => [`@x:${server}`, []]))

/** Sends a federation request as another server. */
async function askHome(
  { federation, home }: HostileWorld,
  path: string,
  body?: object,
  method: 'POST' | 'PUT' = 'POST',
) {
  const dispatcher = new Agent({ connect: { ca: readFileSync(federation.authority.certificate) } })
  const answer = await send(`https://localhost:${home.federationPort}${path}`, {
    dispatcher,
    headers: { 'x-forwarded-for': `203.0.113.${++networks}`, 'content-type': 'application/json' },
    ...(body && { method, body: JSON.stringify(body) }),
  })
  return { status: answer.statusCode, body: (await answer.body.json()) as Answer['body'] }
}

const FLOODS: Attack[] = [
  flood('one query for the keys of 400 servers', LIMITS.network, (world, tarpit) => [
    askHome(world, '/_matrix/key/v2/query', keysOf(tarpit.names(400))),
  ]),
  flood('queries for the keys of 10 servers from 20 networks', LIMITS.networks, (world, tarpit) =>
    Array.from({ length: 20 }, (_, place) =>
      askHome(world, '/_matrix/key/v2/query', keysOf(tarpit.names(200).slice(10 * place, 10 * place + 10))),
    ),
  ),
  flood('queries for the keys of single servers', LIMITS.networks, (world, tarpit) =>
    tarpit.names(30).map((server) => askHome(world, `/_matrix/key/v2/query/${server}`)),
  ),
  flood('100 invites of a bound address', LIMITS.network, (world, tarpit) => [
    askHome(
      world,
      '/_matrix/federation/v1/3pid/onbind',
      {
        medium: 'email',
        address: 'x@example.org',
        mxid: world.alice.userId,
        invites: tarpit.names(100).map((server) => ({
          room_id: `!x:${server}`,
          sender: `@x:${server}`,
          signed: { mxid: world.alice.userId, token: 'x', signatures: {} },
        })),
      },
      'PUT',
    ),
  ]),
  flood(
    'a stranger who looks for profiles',
    LIMITS.network,
    strangers((server) => `${v3}/profile/@x:${server}`),
  ),
  flood(
    'a stranger who looks for names',
    LIMITS.network,
    strangers((at) => `${v3}/profile/@x:${at}/displayname`),
  ),
  flood(
    'a stranger who looks for aliases',
    LIMITS.network,
    strangers((at) => `${v3}/directory/room/%23x:${at}`),
  ),
  flood(
    'a stranger who looks at directories',
    LIMITS.network,
    strangers((at) => `${v3}/publicRooms?server=${at}`),
  ),
  flood(
    'a stranger who looks at rooms',
    LIMITS.network,
    strangers((at) => `${v1}/room_summary/!x:${at}?via=${at}`),
  ),
  flood('strangers of many networks', LIMITS.networks, ({ url }, tarpit) =>
    tarpit.names(40).map((server) => stranger()(url, `${v3}/profile/@x:${server}`)),
  ),
  flood('one query for device keys on 300 servers', LIMITS.user, async ({ url }, tarpit) => [
    (await registerUser(url)).ask('POST', `${v3}/keys/query`, {
      device_keys: usersOn(tarpit.names(300)),
      timeout: 3000,
    }),
  ]),
  flood('one claim of keys on 300 servers', LIMITS.user, async ({ url }, tarpit) => [
    (await registerUser(url)).ask('POST', `${v3}/keys/claim`, {
      one_time_keys: Object.fromEntries(tarpit.names(300).map((at) => [`@x:${at}`, { A: 'signed_curve25519' }])),
      timeout: 3000,
    }),
  ]),
  flood(
    'a user who looks for profiles',
    LIMITS.user,
    ofUser((user, at) => user.ask('GET', `${v3}/profile/@x:${at}`)),
  ),
  flood(
    'a user who looks for aliases',
    LIMITS.user,
    ofUser((me, at) => me.ask('GET', `${v3}/directory/room/%23x:${at}`)),
  ),
  flood(
    'a user who joins',
    LIMITS.user,
    ofUser((me, at) => me.ask('POST', `${v3}/join/!x:${at}?via=${at}`, {})),
  ),
  flood(
    'a user who knocks',
    LIMITS.user,
    ofUser((me, at) => me.ask('POST', `${v3}/knock/!x:${at}?via=${at}`, {})),
  ),
  flood(
    'a user who searches directories',
    LIMITS.user,
    ofUser((me, at) => me.ask('POST', `${v3}/publicRooms?server=${at}`, {})),
  ),
  flood(
    'a user who downloads',
    LIMITS.user,
    ofUser((me, at) => me.ask('GET', `${v1}/media/download/${at}/x`)),
  ),
  flood(
    'a user who wants thumbnails',
    LIMITS.user,
    ofUser((me, at) => me.ask('GET', `${v1}/media/thumbnail/${at}/x?width=32&height=32`)),
  ),
  flood('a user who invites', LIMITS.user, async ({ url }, tarpit) => {
    const mallory = await registerUser(url)
    const roomId = await createRoom(mallory)
    return tarpit.names(10).map((at) => mallory.ask('POST', roomPath(roomId, 'invite'), { user_id: `@x:${at}` }))
  }),
  flood('a user who invites addresses by identity servers', LIMITS.user, async ({ url }, tarpit) => {
    const mallory = await registerUser(url)
    const roomId = await createRoom(mallory)
    const body = { id_access_token: 'x', medium: 'email', address: 'x@example.org' }
    return tarpit.names(10).map((id_server) => mallory.ask('POST', roomPath(roomId, 'invite'), { ...body, id_server }))
  }),
  flood(
    'events that name servers whose keys nobody can have',
    LIMITS.server,
    async ({ home, roomId, peer }, tarpit) => {
      const pdus = tarpit.names(40).map((at) => ({
        type: 'm.room.message',
        room_id: roomId,
        sender: `@x:${at}`,
        content: { body: 'x' },
        origin_server_ts: Date.now(),
        depth: 10,
        hashes: { sha256: 'A'.repeat(43) },
        prev_events: [`$${'A'.repeat(43)}`],
        auth_events: [],
        signatures: { [at]: { 'ed25519:1': 'A'.repeat(86) } },
      }))
      const body = { origin: peer.serverName, origin_server_ts: Date.now(), pdus }
      return [peer.ask(home, 'PUT', `/_matrix/federation/v1/send/${Date.now()}`, body)]
    },
  ),
]

const REFUSALS: Attack[] = [
  {
    name: 'a query for the keys of 501 servers',
    async attempt(world) {
      const names = Array.from({ length: 501 }, (_, place) => `${place}.example.org`)
      expect((await askHome(world, '/_matrix/key/v2/query', keysOf(names))).status).toBe(400)
    },
  },
  {
    name: 'more requests of a user than may wait',
    async attempt({ url }) {
      const tarpit = await startTarpit()
      const mallory = await registerUser(url)
      const asked = tarpit.names(450).map((at) => mallory.ask('GET', `${v3}/profile/@x:${at}`))
      const refused = await Promise.any(
        asked.map((each) => each.then(({ status }) => (status === 429 ? status : Promise.reject(new Error('other'))))),
      )
      expect(refused).toBe(429)
      tarpit.close()
      await Promise.allSettled(asked)
    },
  },
  {
    name: 'a query for device keys whose servers cannot be asked in time',
    async attempt({ url }) {
      const tarpit = await startTarpit()
      const mallory = await registerUser(url)
      const names = tarpit.names(60)
      const query = { device_keys: usersOn(names), timeout: 500 }
      const { body } = await mallory.ask('POST', `${v3}/keys/query`, query)
      expect(Object.keys(body.failures).sort()).toEqual([...names].sort())
      tarpit.close()
    },
  },
]

/** Unreachable servers, for different reasons. */
const UNREACHABLE: Record<string, (world: HostileWorld) => Promise<{ server: string; end(): void }>> = {
  'a name that does not exist': async () => ({ server: 'nothing.invalid:8448', end() {} }),
  'a port on which nobody listens': async () => ({ server: '127.1.2.3:1', end() {} }),
  'a server that closes every connection': async () => {
    const { createServer } = await import('node:net')
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
    return { server: `localhost:${(server.address() as { port: number }).port}`, end: () => server.close() }
  },
  'a certificate that nobody trusts': async ({ federation }) => {
    const other = createTestAuthority()
    const stub = await startStub(federation, (_, response) => response.end('{}'), other)
    return {
      server: stub.name,
      end() {
        stub.close()
        other.dispose()
      },
    }
  },
}

const TEXTS: Attack[] = Object.entries(UNREACHABLE).map(([what, start]) => ({
  name: `${what} is told as any other`,
  async attempt(world) {
    const { server, end } = await start(world)
    const { alice } = world
    const expected = { errcode: 'M_UNKNOWN', error: `${server} cannot be reached` }
    const answers = await Promise.all([
      alice.ask('GET', `${v3}/profile/@x:${server}`),
      alice.ask('GET', `${v3}/directory/room/%23x:${server}`),
      alice.ask('GET', `${v3}/publicRooms?server=${server}`),
      alice.ask('GET', `${v1}/media/download/${server}/x`),
      alice.ask('POST', `${v3}/join/!x:${server}?via=${server}`, {}),
    ])
    for (const { status, body } of answers) expect([status, body]).toEqual([502, expected])
    const { failures } = await alice.post(`${v3}/keys/query`, { device_keys: usersOn([server]) })
    expect(failures[server]).toEqual(expected)
    const roomId = await createRoom(alice)
    const invite = { id_server: server, id_access_token: 'x', medium: 'email', address: 'x@example.org' }
    const { status, body } = await alice.ask('POST', roomPath(roomId, 'invite'), invite)
    expect([status, body.error]).toEqual([502, `The identity server ${server} cannot be reached`])
    end()
  },
}))

type Responder = (request: IncomingMessage, response: ServerResponse) => void

/** Returns a row about a server with invalid responses: the client gets a prompt error, and nothing else happens. */
function answered(what: string, respond: Responder, paths = 1): Attack {
  return {
    name: what,
    async attempt({ federation, alice }) {
      const stub = await startStub(federation, respond)
      const at = stub.name
      const answers = await Promise.all([
        alice.ask('GET', `${v3}/profile/@x:${at}`),
        alice.ask('GET', `${v3}/publicRooms?server=${at}`),
        alice.ask('GET', `${v1}/media/download/${at}/x`),
        alice.ask('POST', `${v3}/join/!x:${at}?via=${at}`, {}),
      ])
      for (const { status } of answers) expect(status).toBe(502)
      const { failures } = await alice.post(`${v3}/keys/query`, { device_keys: usersOn([at]) })
      expect(Object.keys(failures)).toEqual([at])
      expect(new Set(stub.asked.map((path) => path.split('?')[0])).size).toBeGreaterThan(paths)
      expect(stub.asked.filter((path) => path.startsWith('/private'))).toEqual([])
      stub.close()
    },
  }
}

const MIB = 1024 * 1024
const packed = gzipSync(Buffer.from(`{"displayname":"${'a'.repeat(60 * MIB)}"}`))

const ANSWERS: Attack[] = [
  answered('answers that are a thousand times as large once they are unpacked', (_, response) =>
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(packed),
  ),
  answered('errors that are', (_, response) =>
    response.writeHead(500, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(packed),
  ),
  answered('answers of a million values', (_, response) => response.end(`[${'0,'.repeat(1_000_000)}0]`)),
  answered('answers that nest ten thousand deep', (_, response) => response.end('['.repeat(10_000))),
  answered('redirects to this machine', (request, response) =>
    response.writeHead(307, { location: `https://${request.headers.host}/private` }).end(),
  ),
  answered('redirects to themselves', (request, response) =>
    response.writeHead(302, { location: `https://${request.headers.host}${request.url}` }).end(),
  ),
  answered('answers that are cut off', (_, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('{')
    setImmediate(() => response.destroy())
  }),
]

const NAMES: Attack[] = [
  {
    name: 'a server that wants the names of devices',
    async attempt({ url, home, peer, roomId }) {
      const victim = await registerUser(url)
      await victim.post(roomPath(roomId, 'join'))
      const phone = await logIn(url, victim.userId, 'Phone of the victim')
      const device_keys = { user_id: phone.userId, device_id: phone.deviceId, algorithms: [], keys: {}, signatures: {} }
      await phone.post(`${v3}/keys/upload`, { device_keys })
      const devices = await peer.ask(home, 'GET', `/_matrix/federation/v1/user/devices/${name(phone.userId)}`)
      const query = { device_keys: { [phone.userId]: [] } }
      const keys = await peer.ask(home, 'POST', '/_matrix/federation/v1/user/keys/query', query)
      expect(JSON.stringify([devices, keys])).toContain(phone.deviceId)
      expect(JSON.stringify([devices, keys])).not.toContain('Phone of the victim')
    },
  },
]

/** Sets a pusher of a new user in the room, sends a message, and waits until the gateway gets a request. */
async function notified({ url, roomId, alice }: HostileWorld, gateway: string): Promise<void> {
  const mallory = await registerUser(url)
  await mallory.post(roomPath(roomId, 'join'))
  await mallory.post(`${v3}/pushers/set`, {
    app_id: 'app',
    pushkey: gateway,
    kind: 'http',
    app_display_name: 'App',
    device_display_name: 'Phone',
    lang: 'en',
    data: { url: `https://${gateway}/_matrix/push/v1/notify` },
  })
  await alice.put(roomPath(roomId, `send/m.room.message/${gateway}`), { msgtype: 'm.text', body: 'hello' })
}

const GATEWAYS: Attack[] = [
  {
    name: 'a push gateway that redirects to this machine; its certificate is one of the federation’s',
    async attempt(world) {
      const gateway = await startStub(world.federation, (request, response) =>
        response.writeHead(307, { location: `https://${request.headers.host}/private` }).end(),
      )
      await notified(world, gateway.name)
      await pollUntil('it is asked', () => gateway.asked.length > 0)
      expect(new Set(gateway.asked)).toEqual(new Set(['/_matrix/push/v1/notify']))
      gateway.close()
    },
  },
  {
    name: 'a push gateway whose certificate nobody trusts',
    async attempt(world) {
      const other = createTestAuthority()
      const gateway = await startStub(world.federation, (_, response) => response.end('{}'), other)
      await notified(world, gateway.name)
      await pollUntil('it is connected to', () => gateway.most() > 0)
      expect(gateway.asked).toEqual([])
      gateway.close()
      other.dispose()
    },
  },
  {
    name: 'a push gateway that never answers',
    async attempt(world) {
      const tarpit = await startTarpit()
      await notified(world, tarpit.name)
      await pollUntil('it is connected to', () => tarpit.most() > 0)
      await expectServed(world)
      tarpit.close()
    },
  },
]

const ATTACKS = [...FLOODS, ...REFUSALS, ...TEXTS, ...ANSWERS, ...NAMES, ...GATEWAYS]
describeAttacks('outgoing requests', ATTACKS, { limits: { remote_requests: LIMITS } })

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { type Answer, ask, registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import {
  askOAuth,
  authorization,
  refreshOAuth,
  registerClient,
  signInByOAuth,
  webClient,
} from '../harness/oauth-client.ts'
import { newVisitor } from '../harness/page-visitor.ts'
import { setPusher, startPushGateway } from '../harness/push-gateway.ts'
import { createRoom, joinRoom, roomPath, v3 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#rate-limiting */
let hearth: TestHearth
let alice: TestUser

/** A burst for setting up users and rooms, then once per two seconds. */
const SLOW = { per_second: 0.5, burst: 3 }
/** Only once in the time of a test. */
const INVITES = { per_second: 0.001, burst: 3 }

beforeAll(async () => {
  const limited = ['message', 'login', 'join', 'room_creation', 'search', 'media', 'turn', 'delayed_event']
  const rate_limits = { enabled: true, registration: { per_second: 100, burst: 100 } }
  hearth = await startHearth({
    config: {
      rate_limits: {
        ...rate_limits,
        invite: INVITES,
        push: INVITES,
        oauth: INVITES,
        ...Object.fromEntries(limited.map((each) => [each, SLOW])),
      },
    },
  })
  alice = await registerUser(hearth.url)
})
afterAll(() => hearth.dispose())

/** Repeats a request until it is rate-limited, and returns that response. */
async function refusedAfter(times: number, send: (time: number) => Promise<Answer>): Promise<Answer> {
  for (let time = 0; time < times; time++) expect((await send(time)).status).not.toBe(429)
  return pollUntil('it is too often', async () => {
    const answer = await send(times)
    return answer.status === 429 && answer
  })
}

function expectRetry({ body, headers }: Answer): void {
  expect(body.errcode).toBe('M_LIMIT_EXCEEDED')
  expect(body.retry_after_ms).toBeGreaterThan(0)
  expect(Number(headers.get('retry-after'))).toBe(Math.ceil(body.retry_after_ms / 1000))
  expect(headers.get('access-control-allow-origin')).toBe('*')
}

test('an administrator sets another limit of messages for a user, or none', async () => {
  const [admin, user] = await Promise.all([registerAdmin(hearth.url), registerUser(hearth.url)])
  const override = `/_synapse/admin/v1/users/${encodeURIComponent(user.userId)}/override_ratelimit`
  const send = (time: number) => user.ask('PUT', roomPath('!none:hearth.test', `send/m.room.message/${time}`), {})
  await refusedAfter(SLOW.burst, send)
  await admin.post(override, { messages_per_second: 0, burst_count: 0 })
  for (let time = 0; time < 4 * SLOW.burst; time++) expect((await send(time)).status).not.toBe(429)
  await admin.post(override, { messages_per_second: 1, burst_count: 1 })
  await pollUntil('it is too often', async () => (await send(1)).status === 429)
})

test.each<[string, (user: TestUser, time: number) => Promise<Answer>]>([
  ['messages', (user, time) => user.ask('PUT', roomPath('!none:hearth.test', `send/m.room.message/${time}`), {})],
  ['joins', (user) => user.ask('POST', roomPath('!none:hearth.test', 'join'), {})],
  ['invites', (user) => user.ask('POST', roomPath('!none:hearth.test', 'invite'), { user_id: alice.userId })],
  ['new rooms', (user) => user.ask('POST', `${v3}/createRoom`, {})],
  ['searches', (user) => user.ask('POST', `${v3}/user_directory/search`, { search_term: 'x' })],
  ['TURN credentials', (user) => user.ask('GET', `${v3}/voip/turnServer`)],
  ['reports', (user) => user.ask('POST', roomPath('!none:hearth.test', 'report'), { reason: 'spam' })],
])('%s: told when to try again, and others are not held up', async (_, send) => {
  const [user, other] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
  expectRetry(await refusedAfter(SLOW.burst, (time) => send(user, time)))
  expect((await send(other, 0)).status).not.toBe(429)
})

/** A `delay_id` is used without a token, by many participants behind one address. */
test('delayed events are restarted without a token, limited by address as other requests', async () => {
  const user = await registerUser(hearth.url)
  const roomId = await createRoom(user)
  const path = roomPath(roomId, 'state/org.example.seat/a?org.matrix.msc4140.delay=3600000')
  const { delay_id } = await user.put(path, {})
  const restart = () =>
    ask(hearth.url, {
      method: 'POST',
      path: `/_matrix/client/unstable/org.matrix.msc4140/delayed_events/${delay_id}/restart`,
      body: {},
    })
  for (let time = 0; time < 10 * SLOW.burst; time++) expect((await restart()).status).toBe(200)
  const answers = await Promise.all(Array.from({ length: 600 }, restart))
  expectRetry(answers.find(({ status }) => status === 429)!)
})

/** Each of these counts for more than half of the burst. */
test.each<[string, (user: TestUser) => Promise<Answer>]>([
  ['of many bytes', (user) => user.ask('POST', `${v3}/createRoom`, { name: 'x'.repeat(9 * 1024 * 1024) })],
  [
    'for the keys of many users',
    (user) =>
      user.ask('POST', `${v3}/keys/query`, {
        device_keys: Object.fromEntries(Array.from({ length: 40_000 }, (_, place) => [`@${place}:hearth.test`, []])),
      }),
  ],
])('large requests %s count for many', async (_, send) => {
  const [user, other] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
  const answers = await Promise.all(Array.from({ length: 4 }, () => send(user)))
  expectRetry(answers.find(({ status }) => status === 429)!)
  expect((await send(other)).status).not.toBe(429)
})

/** Ways to invite several users with one request, or by requests that are no invites by name. */
describe('invites count one by one', () => {
  const guests = Array.from({ length: 4 }, (_, place) => `@guest${place}:hearth.test`)

  test('of a new room, of which none is made if they are more than there ever are', async () => {
    const user = await registerUser(hearth.url)
    const answer = await user.ask('POST', `${v3}/createRoom`, { invite: guests })
    expect([answer.status, answer.body.errcode]).toEqual([429, 'M_LIMIT_EXCEEDED'])
    expect((await user.get(`${v3}/joined_rooms`)).joined_rooms).toEqual([])
    expect((await user.ask('POST', `${v3}/createRoom`, { invite: guests.slice(1) })).status).toBe(200)
  })

  test.each<[string, (user: TestUser, roomId: string) => Promise<Answer>]>([
    ['by a new room', (user) => user.ask('POST', `${v3}/createRoom`, { invite: [guests[0], guests[0]] })],
    [
      'of an address by a new room',
      (user) => {
        const address = { id_server: 'localhost:1', id_access_token: 'x', medium: 'email', address: 'a@example.org' }
        return user.ask('POST', `${v3}/createRoom`, { invite_3pid: [address] })
      },
    ],
    [
      'by member events',
      (user, roomId) => user.ask('PUT', roomPath(roomId, `state/m.room.member/${guests[0]}`), { membership: 'invite' }),
    ],
    [
      'by delayed member events',
      (user, roomId) =>
        user.ask('PUT', roomPath(roomId, `state/m.room.member/${guests[0]}?org.matrix.msc4140.delay=60000`), {
          membership: 'invite',
        }),
    ],
  ])('%s', async (_, invite) => {
    const user = await registerUser(hearth.url)
    const roomId = await createRoom(user, { invite: guests.slice(1) })
    expectRetry(await invite(user, roomId))
    // Only the invite is rate-limited.
    expect((await user.ask('POST', `${v3}/createRoom`, {})).status).toBe(200)
  })
})

/** Clients log out when the token endpoint refuses a refresh, also with 429. */
test('new OAuth clients are limited, but neither known ones nor refreshes', async () => {
  const user = await registerUser(hearth.url)
  const client = await registerClient(hearth.url)
  let { refresh_token: token } = await signInByOAuth(hearth.url, user, { client })
  const another = (name: number) =>
    askOAuth(hearth.url, '/oauth2/register', { json: webClient(`client-${name}.example.org`) })
  const { status, body, headers } = await refusedAfter(1, another)
  expect([status, body.error]).toEqual([429, 'temporarily_unavailable'])
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await newVisitor(hearth.url).open(authorization(client).path)).status).toBe(429)
  expect((await registerClient(hearth.url)).clientId).toBe(client.clientId)
  for (let time = 0; time < 20; time++) {
    const next = await refreshOAuth(hearth.url, client, token)
    expect(next.status).toBe(200)
    token = next.body.refresh_token
  }
})

test('a user with many pushers has gateways sent as much as others', async () => {
  const gateway = await startPushGateway()
  try {
    const [sender, many, one] = await Promise.all(Array.from({ length: 3 }, () => registerUser(hearth.url)))
    const roomId = await createRoom(sender!)
    await joinRoom(roomId, many!)
    await joinRoom(roomId, one!)
    for (let place = 0; place < 6; place++) await setPusher(many!, gateway, `many${place}`)
    await setPusher(one!, gateway, 'one')
    const keys = () => gateway.received.flatMap(({ devices }) => devices.map(({ pushkey }: Body) => pushkey as string))
    for (const times of [1, 2]) {
      await sendText(sender!, roomId, 'hello')
      await pollUntil('the other user is told', () => keys().filter((key) => key === 'one').length === times)
      await pollUntil('the user with many has had them', () => keys().length >= INVITES.burst + times)
    }
    expect(keys().filter((key) => key !== 'one')).toHaveLength(INVITES.burst)
  } finally {
    await gateway.close()
  }
})

// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
type Body = any

test('after that time it works again', async () => {
  const user = await registerUser(hearth.url)
  const roomId = await createRoom(user)
  const send = (time: number) =>
    user.ask('PUT', roomPath(roomId, `send/m.room.message/a${time}`), { msgtype: 'm.text', body: 'x' })
  await refusedAfter(SLOW.burst, send)
  await pollUntil('it works again', async () => (await send(99)).status === 200)
})

test('attempts to log in count for the account, whoever makes them', async () => {
  const user = await registerUser(hearth.url)
  const body = { type: 'm.login.password', user: user.userId, password: 'wrong' }
  const attempt = () => ask(hearth.url, { method: 'POST', path: `${v3}/login`, body })
  expectRetry(await refusedAfter(1, attempt))
})

describe('on two processes', () => {
  const RARE = 0.001
  const MESSAGES = 200
  let postgres: TestPostgres
  let processes: TestHearth[]
  beforeAll(async () => {
    postgres = await startPostgres()
    const databaseUrl = await postgres.createDatabase()
    const rate_limits = {
      registration: { per_second: RARE, burst: 4 },
      login: { per_second: RARE, burst: 6 },
      message: { per_second: RARE, burst: MESSAGES },
    }
    processes = await Promise.all([1, 2].map(() => startHearth({ databaseUrl, config: { rate_limits } })))
  })
  afterAll(async () => {
    await Promise.all(processes.map((each) => each.dispose()))
    await postgres.stop()
  })

  /** Alternates requests to both processes until both refuse, and returns the number of accepted ones. */
  async function countAdmitted(send: (url: string, time: number) => Promise<Answer>): Promise<number> {
    let [admitted, refusals] = [0, 0]
    for (let time = 0; refusals < 10; time++) {
      const answer = await send(processes[time % 2]!.url, time)
      if (answer.status !== 429) admitted++
      else {
        refusals++
        expectRetry(answer)
      }
    }
    return admitted
  }

  test('a process learns how many messages another has admitted', async () => {
    const user = await registerUser(processes[0]!.url)
    const admitted = [0, 0]
    const isRefused = async (place: 0 | 1) => {
      const answer = await ask(processes[place]!.url, {
        method: 'PUT',
        path: roomPath('!none:hearth.test', `send/m.room.message/${admitted[place]}`),
        body: {},
        token: user.accessToken,
      })
      if (answer.status !== 429) admitted[place]!++
      else expectRetry(answer)
      return answer.status === 429
    }
    while (!(await isRefused(0)));
    expect(admitted[0]).toBe(MESSAGES)
    // On its own it would accept as many; each request gives it time to learn of the others.
    await pollUntil('the other process refuses, too', () => isRefused(1), undefined, 50)
    expect(admitted[1]).toBeLessThan(MESSAGES)
  })

  test('attempts to log in and registrations are counted together at once', async () => {
    const login = { type: 'm.login.password', user: 'nobody', password: 'wrong' }
    const guess = (url: string) => ask(url, { method: 'POST', path: `${v3}/login`, body: login })
    // Each attempt counts for the address and for the account.
    expect(await countAdmitted(guess)).toBe(6)

    // Two were taken above: one for the flows, one for the account.
    const register = (url: string) => ask(url, { method: 'POST', path: `${v3}/register`, body: {} })
    expect(await countAdmitted(register)).toBe(2)
  })
})

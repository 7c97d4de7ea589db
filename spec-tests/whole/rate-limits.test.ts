import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, ask, registerUser, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { pollUntil } from '../harness/poll-until.ts'
import { createRoom, roomPath, v3 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#rate-limiting */
let hearth: TestHearth
let alice: TestUser

/** Once, and again only after two seconds; users are registered, and rooms made, before it matters. */
const SLOW = { per_second: 0.5, burst: 3 }

beforeAll(async () => {
  const limited = ['message', 'login', 'join', 'invite', 'room_creation', 'search', 'media']
  const rate_limits = { enabled: true, registration: { per_second: 100, burst: 100 } }
  hearth = await startHearth({
    config: { rate_limits: { ...rate_limits, ...Object.fromEntries(limited.map((each) => [each, SLOW])) } },
  })
  alice = await registerUser(hearth.url)
})
afterAll(() => hearth.dispose())

/** Asks the same until it is refused for being too often; the refusal. */
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

test.each<[string, (user: TestUser, time: number) => Promise<Answer>]>([
  ['messages', (user, time) => user.ask('PUT', roomPath('!none:hearth.test', `send/m.room.message/${time}`), {})],
  ['joins', (user) => user.ask('POST', roomPath('!none:hearth.test', 'join'), {})],
  ['invites', (user) => user.ask('POST', roomPath('!none:hearth.test', 'invite'), { user_id: alice.userId })],
  ['new rooms', (user) => user.ask('POST', `${v3}/createRoom`, {})],
  ['searches', (user) => user.ask('POST', `${v3}/user_directory/search`, { search_term: 'x' })],
])('%s: told when to try again, and others are not held up', async (_, send) => {
  const [user, other] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
  expectRetry(await refusedAfter(SLOW.burst, (time) => send(user, time)))
  expect((await send(other, 0)).status).not.toBe(429)
})

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

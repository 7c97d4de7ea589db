import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { asUser, registerUser, type TestUser } from '../harness/client.ts'
import { START_MS, startHearth, type TestHearth } from '../harness/hearth.ts'

/**
 * One-time keys while one of three processes dies:
 * https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys
 */
const KEYS = '/_matrix/client/v3/keys'
const COUNT = 50
const CLAIMS = 64
const ALGORITHM = 'signed_curve25519'

let postgres: TestPostgres
let hearths: TestHearth[]
let alice: TestUser
beforeAll(async () => {
  postgres = await startPostgres()
  const databaseUrl = await postgres.createDatabase()
  hearths = await Promise.all([1, 2, 3].map(() => startHearth({ databaseUrl })))
  alice = await registerUser(hearths[0]!.url)
}, 2 * START_MS)
afterAll(async () => {
  await Promise.all(hearths.map((hearth) => hearth.dispose()))
  await postgres.stop()
})

/** Returns a user who sends requests to a given process. */
function through(hearth: TestHearth, { userId, deviceId, accessToken }: TestUser): TestUser {
  return asUser(hearth.url, { user_id: userId, device_id: deviceId, access_token: accessToken })
}

/** Returns the ID of the key that a claim gets. */
async function claim(user: TestUser): Promise<string> {
  const wanted = { one_time_keys: { [alice.userId]: { [alice.deviceId]: ALGORITHM } } }
  const { one_time_keys } = await user.post(`${KEYS}/claim`, wanted)
  return Object.keys(one_time_keys[alice.userId][alice.deviceId])[0]!
}

test('64 claims while a process is killed: no key twice, no fallback key before all are gone, and it stays used', {
  timeout: 3 * START_MS,
}, async () => {
  const key = (text: string, rest = {}) => ({ key: text, signatures: {}, ...rest })
  const names = Array.from({ length: COUNT }, (_, number) => `${ALGORITHM}:key${number}`)
  const fallback = `${ALGORITHM}:fallback`
  await alice.post(`${KEYS}/upload`, {
    one_time_keys: Object.fromEntries(names.map((name) => [name, key(name)])),
    fallback_keys: { [fallback]: key(fallback, { fallback: true }) },
  })
  const bob = await registerUser(hearths[0]!.url)
  const [first, second, third] = hearths as [TestHearth, TestHearth, TestHearth]
  const claims = Array.from({ length: CLAIMS }, (_, number) => claim(through(hearths[number % 3]!, bob)))
  await Promise.race(claims)
  await third.kill('SIGKILL')
  const outcomes = await Promise.allSettled(claims)
  const given = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []))
  const oneTime = given.filter((name) => name !== fallback)
  expect(new Set(oneTime).size, 'no key is given twice').toBe(oneTime.length)

  // Keys may be lost with lost responses, but the remaining ones come before the fallback key.
  const { device_one_time_keys_count: left } = await through(second, alice).get('/_matrix/client/v3/sync?timeout=0')
  const rest: string[] = []
  for (let i = 0; i < (left[ALGORITHM] ?? 0); i++) rest.push(await claim(through(hearths[i % 2]!, bob)))
  expect(rest).not.toContain(fallback)
  expect(new Set([...oneTime, ...rest]).size).toBe(oneTime.length + rest.length)

  await third.restart()
  expect(await claim(through(third, bob))).toBe(fallback)
  await Promise.all([first.kill('SIGTERM'), second.kill('SIGTERM')])
  await first.restart()
  expect(await claim(through(first, bob))).toBe(fallback)
  const synced = await through(first, alice).get('/_matrix/client/v3/sync?timeout=0')
  expect(synced.device_one_time_keys_count[ALGORITHM]).toBe(0)
  expect(synced.device_unused_fallback_key_types).toEqual([])
})

import { hash as bcrypt } from '@node-rs/bcrypt'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { insertThreepid } from '../../storage/users/threepids.ts'
import { findUser, updatePasswordHash } from '../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from './create-user.ts'
import { type AccountIdentifier, findAccount } from './find-account.ts'
import { logInWithPassword } from './log-in.ts'
import { authenticateAndPerform } from './user-interactive-auth.ts'

const password = 'correct horse'
const BURST = 3
let app: TestApp
let userId: UserId
let localpart: string
let made = 0

beforeAll(async () => {
  app = await createTestApp({ config: { rate_limits: { login: { per_second: 0.001, burst: BURST } } } })
})
afterAll(() => app.close())
beforeEach(async () => {
  localpart = `alice${++made}`
  userId = await createUser(app, { localpart, password })
  const address = { medium: 'email', address: `${localpart}@example.org`, user_id: userId }
  await app.database.write((tx) => insertThreepid(tx, { ...address, validated_ts: 0, added_ts: 0 }))
})

const outcome = (attempt: Promise<unknown>) =>
  attempt.then(
    () => 200,
    (error: MatrixError) => error.status,
  )
const logIn = (identifier: AccountIdentifier, given = 'wrong') =>
  outcome(logInWithPassword(app, { identifier, password: given, device: { wantsRefreshToken: false } }))
const prove = (auth: Record<string, unknown>, given = 'wrong') =>
  outcome(
    authenticateAndPerform(
      app,
      {
        operation: 'POST /keys/device_signing/upload',
        userId,
        flows: [['m.login.password']],
        auth: { type: 'm.login.password', password: given, ...auth },
        body: {},
      },
      { perform: async () => ({ answer: {} }), repeat: () => ({}) },
    ),
  )

test('all ways to name an account, and to try its password, count together', async () => {
  const guesses = [
    () => logIn({ user: localpart }),
    () => logIn({ user: localpart.toUpperCase() }),
    () => logIn({ user: userId }),
    () => logIn({ medium: 'email', address: ` ${localpart.toUpperCase()}@EXAMPLE.org` }),
    () => prove({}),
    () => prove({ user: localpart }),
    () => prove({ identifier: { type: 'm.id.user', user: userId } }),
    () => prove({ identifier: { type: 'm.id.thirdparty', medium: 'email', address: `${localpart}@example.org` } }),
  ]
  const refusals = []
  for (const guess of guesses) refusals.push(await guess())
  expect(refusals.filter((status) => status !== 429)).toHaveLength(BURST)
  expect(refusals.slice(BURST)).toEqual(refusals.slice(BURST).map(() => 429))
  expect(await logIn({ user: localpart }, password)).toBe(429)
  expect(await prove({}, password)).toBe(429)
})

test('names of accounts that do not exist count likewise, and nothing that is not tried counts', async () => {
  for (const identifier of [{ user: `nobody${made}` }, { medium: 'email', address: `nobody${made}@example.org` }]) {
    for (let guess = 0; guess < BURST; guess++) expect(await logIn(identifier)).toBe(403)
    expect(await logIn(identifier)).toBe(429)
  }
  for (let guess = 0; guess < 2 * BURST; guess++) {
    expect(await prove({ user: 'another' })).toBe(403)
    expect(await prove({ password: undefined })).toBe(401)
    expect(await logIn({ medium: 'msisdn', address: '+44' })).toBe(403)
  }
  expect(await prove({}, password)).toBe(200)
})

test.each<[string, (name: string) => AccountIdentifier, (name: string) => string | undefined]>([
  ['a localpart', (name) => ({ user: name }), (name) => `@${name}:hearth.test`],
  ['a localpart in capitals', (name) => ({ user: name.toUpperCase() }), (name) => `@${name}:hearth.test`],
  ['an address', (name) => ({ medium: 'email', address: `${name}@example.org\t` }), (name) => `@${name}:hearth.test`],
  ['a user of another server', (name) => ({ user: `@${name}:elsewhere.test` }), () => undefined],
  ['a phone number', () => ({ medium: 'msisdn', address: '+1234567' }), () => '1234567'],
  ['no address', () => ({ medium: 'email', address: 'x' }), () => undefined],
])('%s is counted as the account that it names', async (_, identifier, countedAs) => {
  expect((await findAccount(app, identifier(localpart))).countedAs).toBe(countedAs(localpart))
})

test('a sign-in replaces an imported hash', async () => {
  const imported = await bcrypt(password, 4)
  await app.database.write((tx) => updatePasswordHash(tx, userId, imported))
  expect(await logIn({ user: localpart })).toBe(403)
  expect((await findUser(app.database, userId))?.password_hash).toBe(imported)
  const both = await Promise.all([1, 2].map(() => logIn({ user: localpart }, password)))
  expect(both).toEqual([200, 200])
  expect((await findUser(app.database, userId))?.password_hash).toMatch(/^\$argon2id\$/)
})

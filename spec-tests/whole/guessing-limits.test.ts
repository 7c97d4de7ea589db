import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { ask, type TestUser, uniqueName } from '../harness/client.ts'
import { SHARED_SECRET, startHearth, type TestHearth } from '../harness/hearth.ts'
import { type MailServer, startMailServer } from '../harness/mail-server.ts'
import { newVisitor, signIn, type Visitor } from '../harness/page-visitor.ts'
import { freshAddress, PASSWORD } from '../harness/password-guesses.ts'
import { v3 } from '../harness/rooms.ts'
import { setUpTotp } from '../harness/second-factor.ts'

/**
 * Everything that can be guessed is limited by account and by network, over two processes that share a PostgreSQL: the
 * table "What can be guessed" in docs/security.md.
 */
const NEVER = 0.0001
const BURSTS = { login: 8, second_factor: 5, user_code: 5, registration: 6 }
const LIMITED = Object.fromEntries(Object.entries(BURSTS).map(([name, burst]) => [name, { per_second: NEVER, burst }]))
const UNLIMITED = Object.fromEntries(
  ['default', 'oauth', 'message', 'join', 'media'].map((name) => [name, { per_second: 1e6, burst: 1e6 }]),
)

let postgres: TestPostgres
let mails: MailServer
let hearths: TestHearth[]
beforeAll(async () => {
  ;[postgres, mails] = await Promise.all([startPostgres(), startMailServer()])
  const databaseUrl = await postgres.createDatabase()
  const config = {
    rate_limits: { ...UNLIMITED, ...LIMITED },
    email: { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false },
    jwt: { algorithm: 'HS256', secret: 'a secret that only tests know, of 32 characters' },
    registration: { enabled: true, requires_token: false, shared_secret: SHARED_SECRET },
  }
  hearths = [await startHearth({ databaseUrl, config })]
  hearths.push(await startHearth({ databaseUrl, config: { ...config, public_base_url: hearths[0]!.url } }))
})
afterAll(async () => {
  await Promise.all((hearths ?? []).map((hearth) => hearth.dispose()))
  await mails?.stop()
  await postgres?.stop()
})

/** The processes take turns. */
const at = (time: number) => hearths[time % hearths.length]!.url

/** Registers a user; each has a network of its own. */
async function newUser(): Promise<Pick<TestUser, 'userId' | 'deviceId' | 'accessToken'>> {
  const name = uniqueName('user')
  const body = { username: name, password: PASSWORD, auth: { type: 'm.login.dummy' } }
  const from = freshAddress()
  const answer = await ask(at(0), { method: 'POST', path: `${v3}/register`, body, from })
  expect(answer.status).toBe(200)
  const { user_id: userId, device_id: deviceId, access_token: accessToken } = answer.body
  return { userId, deviceId, accessToken }
}

type Guess = (time: number, from: string) => Promise<{ status: number }>

const post = (path: string, body: unknown, token?: string): Guess => {
  return (time, from) => ask(at(time), { method: 'POST', path, body, from, ...(token !== undefined && { token }) })
}

/** Asserts that guesses from many networks are limited together. */
async function expectLimitOfAccount(burst: number, guess: Guess, tried = 0): Promise<void> {
  const statuses: number[] = []
  for (let time = 0; time < burst + 2; time++) statuses.push((await guess(time, freshAddress())).status)
  expectLimit(statuses, burst - tried)
}

/** Asserts that guesses from one network are limited together. */
async function expectLimitOfNetwork(burst: number, guess: Guess): Promise<void> {
  const from = freshAddress()
  const statuses: number[] = []
  for (let time = 0; time < burst + 2; time++) statuses.push((await guess(time, from)).status)
  expectLimit(statuses, burst)
}

function expectLimit(statuses: readonly number[], admitted: number): void {
  expect(statuses.map((status) => status === 429)).toEqual(statuses.map((_, time) => time >= admitted))
  for (const status of statuses.slice(0, admitted)) expect(status).toBeGreaterThanOrEqual(400)
}

/** A visitor of the other process, with the same cookies. */
function twinOf(visitor: Visitor, time: number, from: string): Visitor {
  const twin = newVisitor(at(time), { from })
  for (const [name, value] of visitor.cookies) twin.cookies.set(name, value)
  return twin
}

describe('by account', () => {
  const passwordOf = (user: string, password = 'wrong') => ({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
  })

  test('a password, over /login, user-interactive authentication and the page together', async () => {
    const { userId, deviceId, accessToken } = await newUser()
    const guesses: Guess[] = [
      post(`${v3}/login`, passwordOf(userId)),
      (time, from) => signIn(newVisitor(at(time), { from }), { userId, password: 'wrong' }),
      (time, from) =>
        ask(at(time), {
          method: 'DELETE',
          path: `${v3}/devices/${deviceId}`,
          body: { auth: passwordOf(userId) },
          token: accessToken,
          from,
        }),
    ]
    await expectLimitOfAccount(BURSTS.login, (time, from) => guesses[time % guesses.length]!(time, from))
    const right = await post(`${v3}/login`, passwordOf(userId, PASSWORD))(0, freshAddress())
    expect(right.status, 'the right password').toBe(429)
  })

  test('the password of a missing account', async () => {
    await expectLimitOfAccount(BURSTS.login, post(`${v3}/login`, passwordOf(uniqueName('nobody'))))
  })

  test.each(['totp', 'recovery'])('a code of the second factor: %s', async (kind) => {
    const user = await newUser()
    const owner = newVisitor(at(0), { from: freshAddress() })
    await signIn(owner, user)
    await setUpTotp(owner)
    const thief = newVisitor(at(0), { from: freshAddress() })
    const step = await signIn(thief, user)
    expect(step.url.pathname).toBe('/login/second-factor')
    await expectLimitOfAccount(BURSTS.second_factor, (time, from) =>
      twinOf(thief, time, from).submit(
        step,
        { code: kind === 'totp' ? `00000${time}` : `aaaa-bbb${time}` },
        { do: kind },
      ),
    )
    const again = newVisitor(at(1), { from: freshAddress() })
    const later = await again.submit(await signIn(again, user), { code: '000009' }, { do: 'totp' })
    expect(later.status, 'after another first step').toBe(429)
  })

  test('the code of a device, by the user who enters it', async () => {
    const user = await newUser()
    const visitor = newVisitor(at(0), { from: freshAddress() })
    await signIn(visitor, user)
    await expectLimitOfAccount(BURSTS.user_code, (time, from) =>
      twinOf(visitor, time, from).open(`/device?user_code=BCDF-GHJ${'KLMNPQRST'[time]}`),
    )
  })

  test('mails to one address', async () => {
    const path = `${v3}/account/password/email/requestToken`
    const email = `${uniqueName()}@example.org`
    const statuses: number[] = []
    for (let time = 0; time < BURSTS.login + 2; time++) {
      const body = { email, client_secret: `secret${time}`, send_attempt: 1 }
      statuses.push((await post(path, body)(time, freshAddress())).status)
    }
    expect(statuses.slice(0, BURSTS.login)).not.toContain(429)
    expect(statuses.slice(BURSTS.login)).toEqual([429, 429])
  })
})

describe('by network', () => {
  const mac = (nonce: string) => createHmac('sha1', 'wrong').update(nonce).digest('hex')

  test.each<[string, keyof typeof BURSTS, Guess]>([
    [
      'passwords of many accounts',
      'login',
      (time, from) => {
        const identifier = { type: 'm.id.user', user: uniqueName('nobody') }
        return post(`${v3}/login`, { type: 'm.login.password', identifier, password: 'x' })(time, from)
      },
    ],
    [
      'login tokens',
      'login',
      (time, from) => post(`${v3}/login`, { type: 'm.login.token', token: `hearth_login_${time}` })(time, from),
    ],
    [
      'JSON Web Tokens',
      'login',
      (time, from) => post(`${v3}/login`, { type: 'org.matrix.login.jwt', token: `a.${time}.c` })(time, from),
    ],
    [
      'links to a new password',
      'login',
      (time, from) => newVisitor(at(time), { from }).open(`/password/reset/session/token${time}`),
    ],
    [
      'links that confirm an address',
      'login',
      (time, from) =>
        newVisitor(at(time), { from }).open(`/_matrix/client/unstable/hearth/confirm_email/session/token${time}`),
    ],
    [
      'MACs of registration by shared secret',
      'registration',
      (time, from) => {
        const nonce = 'x'.repeat(64)
        const body = { nonce, username: uniqueName(), password: PASSWORD, mac: mac(nonce) }
        return post('/_synapse/admin/v1/register', body)(time, from)
      },
    ],
  ])('%s', async (_, category, guess) => {
    await expectLimitOfNetwork(BURSTS[category], guess)
  })

  test('registration tokens, whose validity anyone may ask', async () => {
    const from = freshAddress()
    const statuses: number[] = []
    for (let time = 0; time < BURSTS.registration + 2; time++) {
      const path = `/_matrix/client/v1/register/m.login.registration_token/validity?token=guess${time}`
      statuses.push((await ask(at(time), { method: 'GET', path, from })).status)
    }
    expect(statuses).toEqual([...Array(BURSTS.registration).fill(200), 429, 429])
  })

  test('codes of devices, by many users', async () => {
    const from = freshAddress()
    const statuses: number[] = []
    for (let time = 0; time < BURSTS.user_code + 2; time++) {
      const visitor = newVisitor(at(time), { from: freshAddress() })
      await signIn(visitor, await newUser())
      statuses.push((await twinOf(visitor, time, from).open('/device?user_code=BCDF-GHJK')).status)
    }
    expectLimit(statuses, BURSTS.user_code)
  })

  test('codes of second factors, of several accounts', async () => {
    const thieves = await Promise.all(
      [0, 1, 2].map(async () => {
        const user = await newUser()
        const owner = newVisitor(at(0), { from: freshAddress() })
        await signIn(owner, user)
        await setUpTotp(owner)
        const thief = newVisitor(at(0), { from: freshAddress() })
        return { thief, step: await signIn(thief, user) }
      }),
    )
    await expectLimitOfNetwork(BURSTS.login, (time, from) => {
      const { thief, step } = thieves[time % thieves.length]!
      return twinOf(thief, time, from).submit(step, { code: '000000' }, { do: 'totp' })
    })
  })

  test('passwords on the page', async () => {
    await expectLimitOfNetwork(BURSTS.login, (time, from) =>
      signIn(newVisitor(at(time), { from }), { userId: uniqueName('nobody'), password: 'wrong' }),
    )
  })
})

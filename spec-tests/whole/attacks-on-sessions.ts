import { createHmac } from 'node:crypto'
import { expect } from 'vitest'
import { type Answer, ask, asUser, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { SHARED_SECRET } from '../harness/hearth.ts'
import type { Attack, HostileWorld } from '../harness/hostile-world.ts'
import {
  askFromAnywhere,
  freshAddress,
  logInFromAnywhere,
  newVictim,
  PASSWORD,
  type Victim,
} from '../harness/password-guesses.ts'
import { v3 } from '../harness/rooms.ts'

const whoami = (world: HostileWorld, token: string) =>
  ask(world.url, { method: 'GET', path: `${v3}/account/whoami`, token })
const refresh = (world: HostileWorld, refresh_token: unknown) =>
  askFromAnywhere(world, `${v3}/refresh`, { refresh_token })
const passwordOf = ({ userId: user }: TestUser, more: object = {}) => ({
  type: 'm.login.password',
  user,
  password: PASSWORD,
  ...more,
})
const times = <Result>(count: number, make: (time: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: count }, (_, time) => make(time)))
const succeeded = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200)

type Login = { access_token: string; refresh_token: string; device_id: string; user_id: string }

/** Creates a session of a new user with refresh tokens. */
async function refreshing(world: HostileWorld): Promise<{ victim: Victim; first: Login }> {
  const victim = await newVictim(world)
  const body = { ...passwordOf(victim), refresh_token: true }
  const { status, body: first } = await askFromAnywhere(world, `${v3}/login`, body)
  expect(status).toBe(200)
  return { victim, first }
}

/** Refreshes, and uses the new token. */
async function rotate(world: HostileWorld, token: string): Promise<Login> {
  const { status, body } = await refresh(world, token)
  expect(status).toBe(200)
  expect((await whoami(world, body.access_token)).status).toBe(200)
  return body
}

async function loginTokenOf(world: HostileWorld, victim: Victim): Promise<string> {
  const token = victim.accessToken
  const { body } = await askFromAnywhere(
    world,
    '/_matrix/client/v1/login/get_token',
    { auth: passwordOf(victim) },
    { token },
  )
  expect(body.login_token).toEqual(expect.any(String))
  return body.login_token
}
const redeem = (world: HostileWorld, token: string) =>
  askFromAnywhere(world, `${v3}/login`, { type: 'm.login.token', token })

/** Starts an authentication session of the victim: to delete a device. */
async function uiaSession(world: HostileWorld, { accessToken: token, deviceId }: Victim): Promise<string> {
  return (await askFromAnywhere(world, `${v3}/devices/${deviceId}`, {}, { method: 'DELETE', token })).body.session
}
const stillThere = async (world: HostileWorld, { accessToken }: Victim) =>
  expect((await whoami(world, accessToken)).status).toBe(200)

const TOKENS: Attack[] = [
  {
    name: 'a stolen refresh token that comes again after others took its place',
    async attempt(world) {
      const { victim, first } = await refreshing(world)
      const second = await rotate(world, first.refresh_token)
      const third = await rotate(world, second.refresh_token)
      expect((await refresh(world, first.refresh_token)).body).toMatchObject({
        errcode: 'M_UNKNOWN_TOKEN',
        soft_logout: true,
      })
      expect((await whoami(world, third.access_token)).body).toMatchObject({
        errcode: 'M_UNKNOWN_TOKEN',
        soft_logout: true,
      })
      expect((await refresh(world, third.refresh_token)).status).toBe(401)
      // Other devices continue, and the owner logs in to this one again.
      await stillThere(world, victim)
      const again = await askFromAnywhere(world, `${v3}/login`, { ...passwordOf(victim), device_id: first.device_id })
      expect([again.status, again.body.device_id]).toEqual([200, first.device_id])
    },
  },
  {
    name: 'a refresh token that comes late, of the pair before',
    async attempt(world) {
      const { first } = await refreshing(world)
      const second = await rotate(world, first.refresh_token)
      expect((await refresh(world, first.refresh_token)).status).toBe(401)
      expect((await whoami(world, second.access_token)).status).toBe(200)
      expect((await refresh(world, second.refresh_token)).status).toBe(200)
    },
  },
  {
    name: 'ten uses of one refresh token at the same moment',
    async attempt(world) {
      const { first } = await refreshing(world)
      const answers = succeeded(await times(10, () => refresh(world, first.refresh_token)))
      const pairs = new Set(answers.map(({ body }) => `${body.access_token} ${body.refresh_token}`))
      expect(pairs.size).toBe(1)
    },
  },
  {
    name: "refresh tokens made of a victim's",
    async attempt(world) {
      const { first } = await refreshing(world)
      const { refresh_token: token } = first
      const forms = [
        `${token}x`,
        token.slice(0, -1),
        token.toUpperCase(),
        token.replace(/_[^_]+$/, '_guess'),
        `${token}\0`,
        ` ${token}`,
        token.repeat(500),
        '',
        7,
        null,
        [token],
        { token },
      ]
      for (const form of forms.slice(4)) expect((await refresh(world, form)).status).toBeGreaterThanOrEqual(400)
      expect((await whoami(world, first.access_token)).status).toBe(200)
      // Knowing a token's family means having had the token.
      for (const form of forms.slice(0, 4)) expect((await refresh(world, form)).status).toBe(401)
    },
  },
  {
    name: 'tokens of one kind in the place of another',
    async attempt(world) {
      const { victim, first } = await refreshing(world)
      const login = await loginTokenOf(world, victim)
      const openId = await victim.post(`${v3}/user/${encodeURIComponent(victim.userId)}/openid/request_token`)
      for (const token of [first.refresh_token, login, openId.access_token])
        expect((await whoami(world, token)).body.errcode).toBe('M_UNKNOWN_TOKEN')
      for (const token of [first.access_token, login, openId.access_token])
        expect((await refresh(world, token)).body.errcode).toBe('M_UNKNOWN_TOKEN')
      for (const token of [first.access_token, first.refresh_token, openId.access_token])
        expect((await redeem(world, token)).status).toBe(403)
      await stillThere(world, victim)
    },
  },
  {
    name: 'access tokens of odd forms',
    async attempt({ url, alice }) {
      const forms = [
        '',
        'x',
        `${alice.accessToken}x`,
        alice.accessToken.slice(1),
        "' or 1=1 --",
        'x'.repeat(8000),
        '%00',
        '*',
      ]
      for (const token of forms) {
        const header = await fetch(`${url}${v3}/account/whoami`, { headers: { Authorization: `Bearer ${token}` } })
        const query = await fetch(`${url}${v3}/account/whoami?access_token=${encodeURIComponent(token)}`)
        for (const { status } of [header, query]) expect(status).toBe(401)
      }
      const nul = await fetch(`${url}${v3}/account/whoami?access_token=%00`)
      expect(nul.status).toBeLessThan(500)
    },
  },
  {
    name: 'a login token used ten times at the same moment',
    async attempt(world) {
      const victim = await newVictim(world)
      const token = await loginTokenOf(world, victim)
      expect(succeeded(await times(10, () => redeem(world, token)))).toHaveLength(1)
      expect((await redeem(world, token)).status).toBe(403)
    },
  },
  ...(
    [
      ['the user has logged out everywhere', `${v3}/logout/all`, {}],
      ['the password was changed', `${v3}/account/password`, { new_password: 'another horse battery' }],
      ['the account was deactivated', `${v3}/account/deactivate`, {}],
    ] satisfies [string, string, object][]
  ).map(
    ([name, path, body]): Attack => ({
      name: `tokens that were got before ${name}`,
      async attempt(world) {
        const { victim, first } = await refreshing(world)
        const login = await loginTokenOf(world, victim)
        const { session } = (
          await askFromAnywhere(world, `${v3}/devices/x`, {}, { method: 'DELETE', token: first.access_token })
        ).body
        const ended = await askFromAnywhere(
          world,
          path,
          { ...body, auth: passwordOf(victim) },
          { token: victim.accessToken },
        )
        expect(ended.status).toBe(200)
        expect((await redeem(world, login)).status).toBe(403)
        expect((await whoami(world, first.access_token)).status).toBe(401)
        expect((await refresh(world, first.refresh_token)).status).toBe(401)
        const auth = passwordOf(victim, { session })
        const later = await askFromAnywhere(
          world,
          `${v3}/devices/x`,
          { auth },
          { method: 'DELETE', token: first.access_token },
        )
        expect(later.status).toBe(401)
      },
    }),
  ),
  {
    name: "another user's device id, user id and token in one's own requests",
    async attempt(world) {
      const [victim, attacker] = [await newVictim(world), await newVictim(world)]
      const login = await askFromAnywhere(world, `${v3}/login`, { ...passwordOf(attacker), device_id: victim.deviceId })
      expect(login.body).toMatchObject({ user_id: attacker.userId, device_id: victim.deviceId })
      await stillThere(world, victim)
      const own = asUser(world.url, login.body)
      const path = `${v3}/account/whoami?user_id=${encodeURIComponent(victim.userId)}&device_id=${victim.deviceId}`
      expect((await own.get(path)).user_id).toBe(attacker.userId)
      await own.post(`${v3}/delete_devices`, { devices: [victim.deviceId], auth: passwordOf(attacker) })
      await stillThere(world, victim)
    },
  },
]

const UIA: Attack[] = [
  {
    name: "another user's authentication session",
    async attempt(world) {
      const [victim, attacker] = [await newVictim(world), await newVictim(world)]
      const session = await uiaSession(world, victim)
      const { accessToken: token } = attacker
      const path = `${v3}/devices/${victim.deviceId}`
      for (const auth of [{ session }, passwordOf(attacker, { session }), passwordOf(victim, { session })]) {
        const answer = await askFromAnywhere(world, path, { auth }, { method: 'DELETE', token })
        expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
      }
      await stillThere(world, victim)
    },
  },
  {
    name: 'an authentication session for one request, used for others',
    async attempt(world) {
      const victim = await newVictim(world)
      const session = await uiaSession(world, victim)
      const auth = passwordOf(victim, { session })
      const token = victim.accessToken
      const requests: [string, string, object][] = [
        ['POST', `${v3}/account/deactivate`, {}],
        ['POST', `${v3}/delete_devices`, { devices: [victim.deviceId] }],
        ['DELETE', `${v3}/devices/${victim.deviceId}x`, {}],
        ['POST', `${v3}/account/password`, { new_password: 'another horse battery' }],
        ['POST', '/_matrix/client/v1/login/get_token', {}],
        ['POST', `${v3}/account/3pid/add`, { sid: 'x', client_secret: 'x' }],
        ['POST', `${v3}/register`, { username: uniqueName(), password: PASSWORD }],
      ]
      for (const [method, path, body] of requests)
        expect((await askFromAnywhere(world, path, { ...body, auth }, { method, token })).status).toBe(403)
      await stillThere(world, victim)
    },
  },
  {
    name: 'stages that are not offered, of every name',
    async attempt(world) {
      const victim = await newVictim(world)
      const names = [
        'm.login.dummy',
        'm.login.terms',
        'm.login.registration_token',
        'm.login.email.identity',
        '__proto__',
        'constructor',
        'toString',
        'm.login.password\0',
        '',
        'M.LOGIN.PASSWORD',
        '*',
      ]
      for (const type of names) {
        const session = await uiaSession(world, victim)
        const path = `${v3}/devices/${victim.deviceId}`
        const more = { method: 'DELETE', token: victim.accessToken }
        const auth = { type, session, password: PASSWORD, token: 'x', threepid_creds: { sid: 'x', client_secret: 'x' } }
        expect((await askFromAnywhere(world, path, { auth }, more)).status).toBe(401)
        expect((await askFromAnywhere(world, path, { auth: { session } }, more)).status).toBe(401)
      }
      await stillThere(world, victim)
    },
  },
  {
    name: 'pages of stages that are not offered',
    async attempt(world) {
      const victim = await newVictim(world)
      const session = await uiaSession(world, victim)
      for (const stage of ['m.login.dummy', 'm.login.terms', 'm.login.registration_token', 'm.login.email.identity']) {
        const page = `${world.url}${v3}/auth/${stage}/fallback/web?session=${encodeURIComponent(session)}`
        const body = new URLSearchParams({ token: 'x', email: 'a@example.org' })
        await fetch(page, { method: 'POST', headers: { 'X-Forwarded-For': freshAddress() }, body })
      }
      const more = { method: 'DELETE', token: victim.accessToken }
      const answer = await askFromAnywhere(world, `${v3}/devices/${victim.deviceId}`, { auth: { session } }, more)
      expect(answer.status).toBe(401)
      await stillThere(world, victim)
    },
  },
  {
    name: 'an authentication session that was used, by others and for more',
    async attempt(world) {
      const [victim, attacker] = [await newVictim(world), await newVictim(world)]
      const path = `${v3}/delete_devices`
      const ask = (by: Victim, body: object) => askFromAnywhere(world, path, body, { token: by.accessToken })
      const { session } = (await ask(victim, { devices: ['x'] })).body
      expect((await ask(victim, { devices: ['x'], auth: passwordOf(victim, { session }) })).status).toBe(200)
      for (const auth of [{ session }, passwordOf(attacker, { session })])
        expect((await ask(attacker, { devices: ['x'], auth })).status).toBe(403)
      expect((await ask(victim, { devices: [victim.deviceId], auth: { session } })).status).toBe(400)
      await stillThere(world, victim)
    },
  },
  {
    name: 'ten requests with one authentication session at the same moment',
    async attempt(world) {
      const { session } = (await askFromAnywhere(world, `${v3}/register`, { password: PASSWORD })).body
      const answers = await times(10, () => {
        const body = { username: uniqueName(), password: PASSWORD, auth: { type: 'm.login.dummy', session } }
        return askFromAnywhere(world, `${v3}/register`, body)
      })
      expect(succeeded(answers)).toHaveLength(1)
      for (const { status } of answers) expect(status).toBeLessThan(500)
    },
  },
  {
    name: 'a finished registration, repeated by somebody who knows the session only',
    async attempt(world) {
      const request = { username: uniqueName(), password: PASSWORD, device_id: 'MINE' }
      const send = (body: object) => askFromAnywhere(world, `${v3}/register`, body)
      const { session } = (await send(request)).body
      const auth = { type: 'm.login.dummy', session }
      const { access_token } = (await send({ ...request, auth })).body
      for (const body of [
        {},
        { username: request.username },
        { ...request, password: 'guess at it' },
        { ...request, device_id: 'THEIRS' },
      ])
        expect((await send({ ...body, auth })).status).toBe(400)
      expect((await whoami(world, access_token)).status).toBe(200)
    },
  },
]

const REGISTRATION: Attack[] = [
  {
    name: 'one name, registered by many at the same moment',
    async attempt(world) {
      const name = uniqueName()
      const answers = await times(12, (time) => {
        const username = time % 2 ? name : name.toUpperCase()
        return askFromAnywhere(world, `${v3}/register`, {
          username,
          password: PASSWORD,
          auth: { type: 'm.login.dummy' },
        })
      })
      expect(succeeded(answers)).toHaveLength(1)
      const refused = answers.filter(({ status }) => status !== 200).map(({ body }) => body.errcode)
      expect(new Set(refused)).toEqual(new Set(['M_USER_IN_USE']))
    },
  },
  {
    name: 'the name of an account that was deactivated',
    async attempt(world) {
      const victim = await newVictim(world)
      await askFromAnywhere(
        world,
        `${v3}/account/deactivate`,
        { auth: passwordOf(victim), erase: true },
        { token: victim.accessToken },
      )
      for (const username of [victim.name, victim.name.toUpperCase()]) {
        const body = { username, password: PASSWORD, auth: { type: 'm.login.dummy' } }
        expect((await askFromAnywhere(world, `${v3}/register`, body)).body.errcode).toBe('M_USER_IN_USE')
      }
    },
  },
  {
    name: "registering with another user's token as that of a guest",
    async attempt(world) {
      const victim = await newVictim(world)
      for (const guest_access_token of [victim.accessToken, 'guess', '']) {
        const body = {
          username: victim.name,
          password: 'attacker horse',
          guest_access_token,
          auth: { type: 'm.login.dummy' },
        }
        expect((await askFromAnywhere(world, `${v3}/register`, body)).body.errcode).toBe('M_FORBIDDEN')
      }
      expect((await logInFromAnywhere(world, { type: 'm.id.user', user: victim.name })).status).toBe(200)
    },
  },
  {
    name: 'one nonce of the shared secret, used by many at the same moment',
    async attempt(world) {
      const path = '/_synapse/admin/v1/register'
      const { nonce } = (await ask(world.url, { method: 'GET', path })).body
      const answers = await times(8, () => {
        const username = uniqueName()
        const mac = createHmac('sha1', SHARED_SECRET)
          .update([nonce, username, PASSWORD, 'notadmin'].join('\0'))
          .digest('hex')
        return askFromAnywhere(world, path, { nonce, username, password: PASSWORD, mac })
      })
      expect(succeeded(answers)).toHaveLength(1)
      for (const { status } of answers) expect(status).toBeLessThan(500)
    },
  },
  {
    name: 'administrators by other ways than the shared secret',
    async attempt(world) {
      const body = { username: uniqueName(), password: PASSWORD, admin: true, is_admin: true, user_type: 'admin' }
      const { body: account } = await askFromAnywhere(world, `${v3}/register`, {
        ...body,
        auth: { type: 'm.login.dummy' },
      })
      const user = asUser(world.url, account)
      const path = `/_matrix/client/v1/admin/lock/${encodeURIComponent(world.alice.userId)}`
      expect((await user.ask('PUT', path, { locked: true })).status).toBe(403)
      expect(
        (await user.ask('POST', '/_synapse/admin/v1/send_server_notice', { user_id: world.alice.userId, content: {} }))
          .status,
      ).toBe(403)
    },
  },
  {
    name: 'identifiers of every odd form at login',
    async attempt(world) {
      const users = [
        '',
        '@',
        '@:',
        `@:${world.home.serverName}`,
        'x'.repeat(100_000),
        '\ud800',
        'a\0b',
        '../..',
        '@a:b:c',
        '%',
        '*',
        '@alice:elsewhere.example',
        'ａｌｉｃｅ',
      ]
      for (const user of users) {
        const { status } = await logInFromAnywhere(world, { type: 'm.id.user', user }, 'guess')
        expect([status, user]).toEqual([expect.toSatisfy((code: number) => code === 400 || code === 403), user])
      }
      for (const medium of ['__proto__', 'constructor', 'msisdn', '', 'x'.repeat(10_000), 'email\0'])
        expect(
          (await logInFromAnywhere(world, { type: 'm.id.thirdparty', medium, address: '1' }, 'guess')).status,
        ).toBeLessThan(500)
    },
  },
  {
    name: 'passwords of megabytes, in letters that grow when they are normalised',
    async attempt(world) {
      const victim = await newVictim(world)
      const password = '\ufdfa'.repeat(1_000_000)
      expect((await logInFromAnywhere(world, { type: 'm.id.user', user: victim.name }, password)).status).toBe(403)
      const register = { username: uniqueName(), password, auth: { type: 'm.login.dummy' } }
      expect((await askFromAnywhere(world, `${v3}/register`, register)).status).toBe(400)
      const auth = { ...passwordOf(victim), password }
      const upload = await askFromAnywhere(
        world,
        `${v3}/keys/device_signing/upload`,
        { auth },
        { token: victim.accessToken },
      )
      expect(upload.status).toBe(401)
      await registerUser(world.url)
    },
  },
]

/** Misuse of tokens, of authentication sessions, and of registration. */
export const ATTACKS_ON_SESSIONS: readonly Attack[] = [...TOKENS, ...UIA, ...REGISTRATION]

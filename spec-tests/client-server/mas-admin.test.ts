import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, logIn, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { loginScope, registerClient, signInByOAuth, webClient } from '../harness/oauth-client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'

/**
 * The admin API of the Matrix Authentication Service:
 * https://element-hq.github.io/matrix-authentication-service/api/index.html
 */
const { url, sharedSecret } = inject('homeserver')
const mas = (path: string) => `/api/admin/v1/${path}`
const ULID = expect.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const text = expect.any(String)
const NOBODY = '00000000000000000000000000'
const OPTIONAL_TEXT = expect.toSatisfy((value) => value === null || typeof value === 'string')
const OPTIONAL_TIME = expect.toSatisfy((value) => value === null || TIME.asymmetricMatch(value))
const localpart = ({ userId }: { userId: string }) => userId.slice(1).split(':')[0]!
const whoami = async (token: string) =>
  (await ask(url, { method: 'GET', path: '/_matrix/client/v3/account/whoami', token })).status

let admin: TestUser
let user: TestUser
let userUlid: string
beforeAll(async () => {
  ;[admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
  userUlid = await ulidOf(user)
})

async function ulidOf(of: { userId: string }): Promise<string> {
  return (await admin.get(mas(`users/by-username/${localpart(of)}`))).data.id
}

const failure = async (method: string, path: string, body?: unknown) => {
  const answer = await admin.ask(method, mas(path), body)
  expect(answer.body).toEqual({ errors: [{ title: text }] })
  return answer.status
}
const idsIn = (page: { data: { id: string }[] }) => page.data.map(({ id }) => id)

const SESSION = {
  ...{ user_id: ULID, created_at: TIME, finished_at: null, user_agent: OPTIONAL_TEXT },
  ...{ last_active_at: OPTIONAL_TIME, last_active_ip: OPTIONAL_TEXT },
}
/** The attributes of each kind of objects, and a filter with which a list has one of them. */
const KINDS: Record<string, { type: string; attributes: object; make: () => Promise<string> }> = {
  users: {
    type: 'user',
    attributes: {
      ...{ username: text, created_at: TIME, locked_at: null, deactivated_at: null },
      ...{ admin: expect.any(Boolean), legacy_guest: false },
    },
    make: async () => `filter[search]=${localpart(user)}`,
  },
  'user-emails': {
    type: 'user-email',
    attributes: { created_at: TIME, user_id: ULID, email: expect.stringContaining('@') },
    async make() {
      await admin.ask('POST', mas('user-emails'), { user_id: userUlid, email: `${uniqueName()}@example.org` })
      return `filter[user]=${userUlid}`
    },
  },
  'user-registration-tokens': {
    type: 'user-registration_token',
    attributes: {
      ...{ token: text, valid: expect.any(Boolean), times_used: expect.any(Number), created_at: TIME },
      usage_limit: expect.toSatisfy((value) => value === null || typeof value === 'number'),
      ...{ last_used_at: OPTIONAL_TIME, expires_at: OPTIONAL_TIME, revoked_at: OPTIONAL_TIME },
    },
    async make() {
      await admin.ask('POST', mas('user-registration-tokens'), {})
      return 'filter[valid]=true'
    },
  },
  'compat-sessions': {
    type: 'compat-session',
    attributes: {
      ...SESSION,
      ...{ device_id: text, user_session_id: null, redirect_uri: null, human_name: OPTIONAL_TEXT },
    },
    make: async () => `filter[user]=${userUlid}&filter[status]=active`,
  },
  'oauth2-sessions': {
    type: 'oauth2-session',
    attributes: { ...SESSION, user_session_id: null, client_id: ULID, scope: text, human_name: OPTIONAL_TEXT },
    async make() {
      await signInByOAuth(url, user)
      return `filter[user]=${userUlid}`
    },
  },
  'user-sessions': {
    type: 'user-session',
    attributes: SESSION,
    async make() {
      await signIn(newVisitor(url), user, '/account')
      return `filter[user]=${userUlid}`
    },
  },
  'personal-sessions': {
    type: 'personal-session',
    attributes: {
      ...{ created_at: TIME, revoked_at: null, owner_user_id: ULID, owner_client_id: null, actor_user_id: ULID },
      ...{ human_name: text, scope: text, last_active_at: OPTIONAL_TIME, last_active_ip: OPTIONAL_TEXT },
      expires_at: OPTIONAL_TIME,
    },
    async make() {
      await newPersonal(userUlid)
      return `filter[actor_user]=${userUlid}`
    },
  },
  'oauth2-clients': {
    type: 'oauth2-client',
    attributes: {
      ...{ client_id: text, client_name: OPTIONAL_TEXT, client_uri: text, logo_uri: OPTIONAL_TEXT },
      ...{ redirect_uris: expect.any(Array), grant_types: expect.any(Array), is_static: false },
    },
    async make() {
      const host = `${uniqueName('client')}.example.org`
      await registerClient(url, webClient(host))
      return `filter[client-uri]=${host}`
    },
  },
}

async function newPersonal(actor_user_id: string, more: object = {}) {
  const body = { actor_user_id, human_name: 'A bot', scope: 'urn:matrix:client:api:*', ...more }
  const { status, body: answer } = await admin.ask('POST', mas('personal-sessions'), body)
  expect(status).toBe(201)
  return answer.data
}

describe.each(Object.keys(KINDS))('%s', (path) => {
  test('have lists and objects of their shape', async () => {
    const { type, attributes, make } = KINDS[path]!
    const filter = await make()
    const { meta, data, links } = await admin.get(mas(`${path}?${filter}&page[first]=1`))
    expect(meta.count).toBeGreaterThan(0)
    const [{ id }] = data
    const self = mas(`${path}/${id}`)
    const resource = { type, id: ULID, attributes, links: { self } }
    expect(data).toEqual([{ ...resource, meta: { page: { cursor: id } } }])
    expect(links).toMatchObject({ self: expect.stringContaining(mas(path)), first: text, last: text })
    expect(await admin.get(self)).toEqual({ data: resource, links: { self } })
    expect(await admin.get(mas(`${path}?${filter}&count=only`))).toEqual({ meta, links: { self: text } })
    expect(await admin.get(mas(`${path}?${filter}&count=false`))).not.toHaveProperty('meta')
    expect(await failure('GET', `${path}/${NOBODY}`)).toBe(404)
    expect(await failure('GET', `${path}/x`)).toBe(400)
  })

  test('refuse queries that are wrong', async () => {
    for (const query of ['page[first]=0', 'page[last]=x', 'page[after]=x', 'count=maybe', 'page[first]=1001'])
      expect(await failure('GET', `${path}?${query}`)).toBe(400)
  })
})

test('the site tells what its tools may offer', async () => {
  const flag = expect.any(Boolean)
  expect(await admin.get(mas('site-config'))).toEqual({
    ...{ server_name: admin.userId.split(':').slice(1).join(':'), minimum_password_complexity: 0 },
    ...{ password_login_enabled: true, password_registration_enabled: flag, captcha_enabled: flag },
    ...{ password_registration_email_required: flag, password_registration_token_required: flag },
    ...{ registration_token_required: flag, email_change_allowed: flag, displayname_change_allowed: true },
    ...{ password_change_allowed: true, account_recovery_allowed: flag, account_deactivation_allowed: true },
  })
  expect(await admin.get(mas('version'))).toEqual({ version: text })
})

describe('pages', () => {
  test('follow each other in both directions', async () => {
    const prefix = uniqueName('page')
    const names = ['a', 'b', 'c', 'd', 'e'].map((name) => `${prefix}-${name}`)
    const ids: string[] = []
    for (const username of names) {
      const { status, body } = await admin.ask('POST', mas('users'), { username })
      expect(status).toBe(201)
      ids.push(body.data.id)
    }
    ids.sort()
    const page = async (query: string) => admin.get(mas(`users?filter[search]=${prefix}${query}`))
    const whole = await page('')
    expect([idsIn(whole), whole.meta, whole.links.next, whole.links.prev]).toEqual([
      ...[ids, { count: 5 }, undefined, undefined],
    ])
    const first = await page('&page[first]=2')
    expect(idsIn(first)).toEqual(ids.slice(0, 2))
    const second = await admin.get(first.links.next)
    expect(idsIn(second)).toEqual(ids.slice(2, 4))
    const third = await admin.get(second.links.next)
    expect([idsIn(third), third.links.next]).toEqual([ids.slice(4), undefined])
    const last = await admin.get(first.links.last)
    expect(idsIn(last)).toEqual(ids.slice(3))
    const before = await admin.get(last.links.prev)
    expect(idsIn(before)).toEqual(ids.slice(1, 3))
    const start = await admin.get(before.links.prev)
    expect([idsIn(start), start.links.prev]).toEqual([ids.slice(0, 1), undefined])
    expect(idsIn(await page(`&page[after]=${ids[0]}&page[before]=${ids[3]}`))).toEqual(ids.slice(1, 3))
  })
})

describe('an account', () => {
  test('is created, found by filters, and changed', async () => {
    const username = uniqueName('made')
    const body = { username, displayname: 'Made', avatar_url: 'mxc://example.org/a' }
    const made = await admin.ask('POST', mas('users'), body)
    expect(made.status).toBe(201)
    const { id, attributes } = made.body.data
    expect(attributes).toMatchObject({ username, admin: false, locked_at: null, deactivated_at: null })
    const userId = `@${username}:${admin.userId.split(':').slice(1).join(':')}`
    expect(await admin.get(`/_matrix/client/v3/profile/${userId}`)).toMatchObject({ displayname: 'Made' })
    expect(await failure('POST', 'users', { username })).toBe(409)
    expect(await failure('POST', 'users', { username: 'a b' })).toBe(400)
    expect(await failure('GET', 'users/by-username/nobody-at-all')).toBe(404)

    const act = async (name: string, sent: object = {}) =>
      (await admin.post(mas(`users/${id}/${name}`), sent)).data.attributes
    const listed = async (filter: string) =>
      idsIn(await admin.get(mas(`users?filter[search]=${username.toUpperCase()}&${filter}`))).includes(id)
    expect(
      (await admin.ask('POST', mas(`users/${id}/set-password`), { password: 'correct horse battery' })).status,
    ).toBe(204)
    const device = await logIn(url, username, 'A phone')
    expect(await listed('filter[has-active-compat-session]=true')).toBe(true)
    expect(await listed('filter[has-active-oauth2-session]=true')).toBe(false)
    expect((await act('lock')).locked_at).toEqual(TIME)
    expect(await whoami(device.accessToken)).toBe(401)
    expect([await listed('filter[status]=locked'), await listed('filter[status]=active')]).toEqual([true, false])
    expect((await act('unlock')).locked_at).toBeNull()
    expect(await whoami(device.accessToken)).toBe(200)
    expect((await act('set-admin', { admin: true })).admin).toBe(true)
    expect(await listed('filter[admin]=true')).toBe(true)
    expect((await act('set-admin', { admin: false })).admin).toBe(false)
    expect(await failure('POST', `users/${await ulidOf(admin)}/set-admin`, { admin: false })).toBe(400)

    expect((await act('deactivate', { skip_erase: true })).deactivated_at).toEqual(TIME)
    expect(await whoami(device.accessToken)).toBe(401)
    expect(await listed('filter[status]=deactivated&filter[legacy-guest]=false')).toBe(true)
    expect(await admin.get(`/_matrix/client/v3/profile/${userId}`)).toMatchObject({ displayname: 'Made' })
    const email = { user_id: id, email: `${uniqueName()}@example.org` }
    expect(await failure('POST', 'user-emails', email)).toBe(400)
    expect((await act('reactivate')).deactivated_at).toBeNull()
    await act('deactivate')
    expect(await admin.get(`/_synapse/admin/v2/users/${encodeURIComponent(userId)}`)).toMatchObject({ erased: true })
    expect((await act('reactivate')).deactivated_at).toBeNull()
  })

  test('gets a password, which has to be strong unless that is skipped', async () => {
    const path = `users/${userUlid}/set-password`
    expect(await failure('POST', path, { password: 'x' })).toBe(400)
    expect(await failure('POST', path, { password: '', skip_password_check: true })).toBe(400)
    expect((await admin.ask('POST', mas(path), { password: 'x', skip_password_check: true })).status).toBe(204)
    expect(await whoami(user.accessToken)).toBe(200)
    await admin.ask('POST', mas(path), { password: 'correct horse battery' })
  })

  test('acts of administrators are in the audit log, by the user', async () => {
    const { userId } = await registerUser(url)
    await admin.post(mas(`users/${await ulidOf({ userId })}/lock`))
    const { entries } = await admin.get(`/_hearth/admin/v1/audit_log?target=${encodeURIComponent(userId)}`)
    expect(entries).toMatchObject([{ actor: admin.userId, action: 'POST /api/admin/v1/users/:id/lock' }])
  })
})

describe('an address', () => {
  test('belongs to one user, is found, and removed', async () => {
    const email = `${uniqueName()}@example.org`
    const { body, status } = await admin.ask('POST', mas('user-emails'), { user_id: userUlid, email })
    expect([status, body.data.attributes]).toEqual([201, { created_at: TIME, user_id: userUlid, email }])
    expect(await failure('POST', 'user-emails', { user_id: await ulidOf(admin), email })).toBe(409)
    expect(await failure('POST', 'user-emails', { user_id: userUlid, email: 'x' })).toBe(400)
    expect(await failure('POST', 'user-emails', { user_id: NOBODY, email: `a${email}` })).toBe(404)
    expect(idsIn(await admin.get(mas(`user-emails?filter[email]=${email.toUpperCase()}`)))).toEqual([body.data.id])
    expect((await admin.get(mas('user-emails?filter[email]=x'))).data).toEqual([])
    expect(await failure('GET', `user-emails?filter[user]=${NOBODY}`)).toBe(404)
    expect((await admin.ask('DELETE', mas(`user-emails/${body.data.id}`))).status).toBe(204)
    expect(await failure('DELETE', `user-emails/${body.data.id}`)).toBe(404)
  })
})

describe('a registration token', () => {
  test('is created, changed, revoked and restored', async () => {
    const token = uniqueName('token')
    const expires_at = '2999-01-01T00:00:00.000Z'
    const made = await admin.ask('POST', mas('user-registration-tokens'), { token, usage_limit: 2, expires_at })
    expect(made.status).toBe(201)
    const { id, attributes } = made.body.data
    expect(attributes).toMatchObject({
      token,
      valid: true,
      usage_limit: 2,
      times_used: 0,
      expires_at,
      revoked_at: null,
    })
    const path = `user-registration-tokens/${id}`
    const has = async (filter: string) =>
      idsIn(await admin.get(mas(`user-registration-tokens?${filter}&page[last]=1000`))).includes(id)
    expect(await has('filter[used]=false&filter[revoked]=false&filter[expired]=false&filter[valid]=true')).toBe(true)
    const change = { usage_limit: null, expires_at: null }
    expect((await admin.put(mas(path), change)).data.attributes).toMatchObject(change)
    expect((await admin.put(mas(path), { usage_limit: 5 })).data.attributes).toMatchObject({ usage_limit: 5 })
    expect(await failure('PUT', path, { expires_at: '2001-01-01T00:00:00Z' })).toBe(400)
    expect(await failure('PUT', path, { usage_limit: -1 })).toBe(400)
    expect(await failure('POST', `${path}/unrevoke`)).toBe(400)
    expect((await admin.post(mas(`${path}/revoke`))).data.attributes).toMatchObject({ valid: false, revoked_at: TIME })
    expect(await failure('POST', `${path}/revoke`)).toBe(400)
    expect([await has('filter[revoked]=true'), await has('filter[valid]=true')]).toEqual([true, false])
    expect((await ask(url, { method: 'GET', path: validity(token) })).body).not.toEqual({ valid: true })
    expect((await admin.post(mas(`${path}/unrevoke`))).data.attributes).toMatchObject({ valid: true, revoked_at: null })
    expect(await failure('POST', 'user-registration-tokens', { token })).toBe(400)
    expect(await failure('POST', 'user-registration-tokens', { token: 'a b' })).toBe(400)
  })

  const validity = (token: string) => `/_matrix/client/v1/register/m.login.registration_token/validity?token=${token}`
})

describe('a session', () => {
  test.each(['compat-sessions', 'oauth2-sessions'])('of %s is finished', async (path) => {
    const other = await registerUser(url)
    const token = path === 'compat-sessions' ? other.accessToken : (await signInByOAuth(url, other)).access_token
    const id = await ulidOf(other)
    const [session] = (await admin.get(mas(`${path}?filter[user]=${id}`))).data
    const finished = await admin.post(mas(`${path}/${session.id}/finish`))
    expect(finished.data.attributes).toEqual({ ...session.attributes, finished_at: TIME })
    expect(await whoami(token)).toBe(401)
    expect(await failure('POST', `${path}/${session.id}/finish`)).toBe(404)
    expect((await admin.get(mas(`${path}?filter[user]=${id}`))).meta.count).toBe(0)
  })

  test('of a browser is finished', async () => {
    const other = await registerUser(url)
    const visitor = newVisitor(url)
    await signIn(visitor, other, '/account')
    const [session] = (await admin.get(mas(`user-sessions?filter[user]=${await ulidOf(other)}`))).data
    await admin.post(mas(`user-sessions/${session.id}/finish`))
    expect((await visitor.open('/account')).url.pathname).toBe('/login')
  })

  test('is found by its filters', async () => {
    const other = await registerUser(url)
    const client = await registerClient(url, webClient(`${uniqueName('app')}.example.org`))
    await signInByOAuth(url, other, { client, scope: loginScope('ABCDEFGHIJKL') })
    const id = await ulidOf(other)
    const count = async (path: string, filter: string) =>
      (await admin.get(mas(`${path}?filter[user]=${id}&${filter}&count=only`))).meta.count
    const [session] = (await admin.get(mas(`oauth2-sessions?filter[user]=${id}`))).data
    const { client_id, scope, created_at } = session.attributes
    expect(scope).toBe(loginScope('ABCDEFGHIJKL'))
    const api = encodeURIComponent('urn:matrix:client:api:*')
    for (const filter of [
      ...[`filter[client]=${client_id}`, `filter[client]=${client_id}&filter[client]=${NOBODY}`],
      ...[`filter[scope]=${api}`, 'filter[client-kind]=dynamic', 'filter[status]=active'],
      ...['filter[created-after]=2020-01-01T00:00:00Z', 'filter[created-before]=2999-01-01T00:00:00%2B01:00'],
    ])
      expect([filter, await count('oauth2-sessions', filter)]).toEqual([filter, 1])
    for (const filter of [
      ...[`filter[client]=${NOBODY}`, 'filter[scope]=openid', 'filter[client-kind]=static', 'filter[status]=finished'],
      ...[`filter[created-after]=${created_at}`, `filter[created-before]=${created_at}`],
      ...['filter[last-active-after]=2999-01-01T00:00:00Z', `filter[user-session]=${NOBODY}`],
    ])
      expect([filter, await count('oauth2-sessions', filter)]).toEqual([filter, 0])
    for (const path of ['compat-sessions', 'user-sessions']) {
      expect(await count(path, 'filter[status]=finished')).toBe(0)
      expect(await count(path, 'filter[last-active-before]=2001-01-01T00:00:00Z')).toBe(0)
      expect(await failure('GET', `${path}?filter[created-after]=yesterday`)).toBe(400)
    }
    const [found] = (await admin.get(mas(`users?filter[active-oauth2-client]=${client_id}`))).data
    expect(found.id).toBe(id)
  })
})

describe('a personal session', () => {
  test('acts as its user until it is regenerated or revoked', async () => {
    const other = await registerUser(url)
    const id = await ulidOf(other)
    const scope =
      'openid urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:ABCDEFGHIJ'
    const made = await newPersonal(id, { scope, expires_in: 3600 })
    const { access_token: token, ...attributes } = made.attributes
    expect(attributes).toMatchObject({ scope: 'urn:matrix:client:api:*', actor_user_id: id, expires_at: TIME })
    const asked = await ask(url, { method: 'GET', path: '/_matrix/client/v3/account/whoami', token })
    expect(asked.body).toMatchObject({ user_id: other.userId, device_id: 'ABCDEFGHIJ' })
    const list = async (filter: string) =>
      (await admin.get(mas(`personal-sessions?filter[actor_user]=${id}&${filter}`))).meta.count
    for (const filter of [
      `filter[owner_user]=${id}`,
      'filter[expires]=true',
      'filter[status]=active',
      `filter[user]=${id}`,
    ])
      expect([filter, await list(filter)]).toEqual([filter, 1])
    for (const filter of [
      ...[`filter[owner_user]=${userUlid}`, 'filter[expires]=false', 'filter[status]=revoked', 'filter[scope]=x'],
      ...[`filter[owner_client]=${NOBODY}`, 'filter[expires_before]=2001-01-01T00:00:00Z'],
      'filter[expires_after]=2999-01-01T00:00:00Z',
    ])
      expect([filter, await list(filter)]).toEqual([filter, 0])

    const renewed = await admin.ask('POST', mas(`personal-sessions/${made.id}/regenerate`), {})
    expect([renewed.status, renewed.body.data.id, renewed.body.data.attributes.expires_at]).toEqual([
      201,
      made.id,
      null,
    ])
    const next = renewed.body.data.attributes.access_token
    expect([await whoami(token), await whoami(next)]).toEqual([401, 200])
    const revoked = await admin.post(mas(`personal-sessions/${made.id}/revoke`))
    expect(revoked.data.attributes.revoked_at).toEqual(TIME)
    expect(await whoami(next)).toBe(401)
    for (const act of ['revoke', 'regenerate'])
      expect(await failure('POST', `personal-sessions/${made.id}/${act}`)).toBe(404)
  })

  test('has the rights of administrators only for them', async () => {
    const body = { actor_user_id: userUlid, human_name: 'x', scope: 'urn:mas:admin' }
    expect(await failure('POST', 'personal-sessions', body)).toBe(403)
    expect(await failure('POST', 'personal-sessions', { ...body, scope: 'urn:unknown' })).toBe(400)
    expect(await failure('POST', 'personal-sessions', { ...body, actor_user_id: NOBODY })).toBe(404)
    const { attributes } = await newPersonal(await ulidOf(admin), { scope: 'urn:mas:admin' })
    const asAdmin = (path: string) => ask(url, { method: 'GET', path, token: attributes.access_token })
    expect((await asAdmin(mas('version'))).status).toBe(200)
    expect((await asAdmin('/_synapse/admin/v2/users')).status).toBe(403)
  })
})

describe('access', () => {
  const PATHS: readonly (readonly [method: string, path: string, body?: object])[] = [
    ...['site-config', 'version', 'users/by-username/x', 'upstream-oauth-links', 'upstream-oauth-providers'].map(
      (path) => ['GET', path] as const,
    ),
    ...Object.keys(KINDS).flatMap((path) => [['GET', path] as const, ['GET', `${path}/${NOBODY}`] as const]),
    ['GET', `upstream-oauth-links/${NOBODY}`],
    ['GET', `upstream-oauth-providers/${NOBODY}`],
    ['DELETE', `upstream-oauth-links/${NOBODY}`],
    ['DELETE', `user-emails/${NOBODY}`],
    ['POST', 'users', { username: 'x' }],
    ['POST', 'user-emails', { user_id: NOBODY, email: 'a@example.org' }],
    ['POST', 'user-registration-tokens', {}],
    ['POST', 'upstream-oauth-links', { user_id: NOBODY, provider_id: NOBODY, subject: 'x' }],
    ['POST', 'personal-sessions', { actor_user_id: NOBODY, human_name: 'x', scope: 'urn:matrix:client:api:*' }],
    ['PUT', `user-registration-tokens/${NOBODY}`, {}],
    ...['deactivate', 'reactivate', 'lock', 'unlock'].map((act) => ['POST', `users/${NOBODY}/${act}`] as const),
    ['POST', `users/${NOBODY}/set-password`, { password: 'correct horse' }],
    ['POST', `users/${NOBODY}/set-admin`, { admin: true }],
    ...['revoke', 'unrevoke'].map((act) => ['POST', `user-registration-tokens/${NOBODY}/${act}`] as const),
    ...['compat', 'oauth2', 'user'].map((kind) => ['POST', `${kind}-sessions/${NOBODY}/finish`] as const),
    ...['revoke', 'regenerate'].map((act) => ['POST', `personal-sessions/${NOBODY}/${act}`] as const),
  ]
  const statuses = (token: string | undefined) =>
    Promise.all(
      PATHS.map(async ([method, path, body]) => {
        const answer = await ask(url, { method, path: mas(path), body, ...(token !== undefined && { token }) })
        return answer.body.errors?.length === 1 ? answer.status : 'no error'
      }),
    )

  test('is for administrators alone', async () => {
    expect(new Set(await statuses(user.accessToken))).toEqual(new Set([403]))
    expect(new Set(await statuses(undefined))).toEqual(new Set([401]))
    expect(new Set(await statuses('x'))).toEqual(new Set([401]))
  })

  test('needs the scope of this API, and nothing else of it', async () => {
    const api = 'urn:matrix:org.matrix.msc2967.client:api:*'
    const other = await signInByOAuth(url, admin, { scope: `${api} urn:synapse:admin:*` })
    expect(new Set(await statuses(other.access_token))).toEqual(new Set([403]))
    const own = await signInByOAuth(url, admin, { scope: `${api} urn:mas:admin` })
    const asOwn = (path: string) => ask(url, { method: 'GET', path, token: own.access_token })
    expect((await asOwn(mas('version'))).status).toBe(200)
    for (const path of [
      '/_synapse/admin/v2/users',
      '/_synapse/admin/v1/registration_tokens',
      '/_hearth/admin/v1/audit_log',
    ])
      expect((await asOwn(path)).status).toBe(403)
    // Users who are no administrators get neither scope.
    const { scope } = await signInByOAuth(url, user, { scope: `${api} urn:mas:admin` })
    expect(scope).toBe(api)
  })

  test('does not depend on a body: a wrong one is refused', async () => {
    for (const [method, path, body] of PATHS.filter(([, , sent]) => sent !== undefined)) {
      for (const [name, value] of Object.entries(body!)) {
        const wrong = { ...body, [name]: typeof value === 'object' ? 1 : { a: 1 } }
        expect([path, name, await failure(method, path, wrong)]).toEqual([path, name, 400])
      }
      const answer = await fetch(url + mas(path), {
        method,
        body: '[',
        headers: { Authorization: `Bearer ${admin.accessToken}`, 'Content-Type': 'application/json' },
      })
      expect([answer.status, await answer.json()]).toEqual([400, { errors: [{ title: text }] }])
    }
  })

  test('is open to pages of other origins', async () => {
    const answer = await fetch(url + mas('version'), { headers: { Origin: 'https://tools.example.org' } })
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([401, '*'])
  })
})

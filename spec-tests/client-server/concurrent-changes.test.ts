import { expect, inject, test } from 'vitest'
import { type Answer, ask, deviceKeysOf, registerUser, type TestUser, uniqueName } from '../harness/client.ts'

/** Concurrent identical requests of one or several clients, at any process. */
const { url } = inject('homeserver')
const password = 'correct horse battery'
const v3 = '/_matrix/client/v3'
const profileOf = (user: TestUser) => `${v3}/profile/${encodeURIComponent(user.userId)}`

const logIn = (user: TestUser, more: Record<string, unknown> = {}) =>
  ask(url, {
    method: 'POST',
    path: `${v3}/login`,
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.userId }, password, ...more },
  })
const times = <Result>(count: number, work: (index: number) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))

test('profile fields are all kept', async () => {
  const user = await registerUser(url)
  await times(8, (i) => user.put(`${profileOf(user)}/org.example.field${i}`, { [`org.example.field${i}`]: i }))
  const profile = await user.get(profileOf(user))
  for (let i = 0; i < 8; i++) expect(profile[`org.example.field${i}`]).toBe(i)
})

test('push rules are all kept', async () => {
  const user = await registerUser(url)
  await times(8, (i) =>
    user.put(`${v3}/pushrules/global/content/rule${i}`, { actions: ['notify'], pattern: `word${i}` }),
  )
  const { content } = await user.get(`${v3}/pushrules/global/`)
  const own = content.filter((rule: { default: boolean }) => !rule.default)
  expect(own.map((rule: { rule_id: string }) => rule.rule_id).sort()).toEqual(
    [0, 1, 2, 3, 4, 5, 6, 7].map((i) => `rule${i}`),
  )
})

test('of the last writes to one piece of account data, one holds as a whole', async () => {
  const user = await registerUser(url)
  const path = `${v3}/user/${encodeURIComponent(user.userId)}/account_data/org.example.last`
  await times(8, (i) => user.put(path, { by: i, again: i }))
  const { by, again } = await user.get(path)
  expect(again).toBe(by)
})

test('of many logins on one device, one token is left', async () => {
  const user = await registerUser(url)
  const answers = await times(6, () => logIn(user, { device_id: 'PHONE' }))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
  const works = await Promise.all(
    answers.map(
      async ({ body }) =>
        (await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token: body.access_token })).status,
    ),
  )
  expect(works.filter((status) => status === 200)).toHaveLength(1)
})

test('many refreshes with one token return one pair', async () => {
  const user = await registerUser(url)
  const { refresh_token: token } = (await logIn(user, { refresh_token: true })).body
  const answers = await times(6, () =>
    ask(url, { method: 'POST', path: `${v3}/refresh`, body: { refresh_token: token } }),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200))
  expect(new Set(answers.map(({ body }) => body.access_token)).size).toBe(1)
  expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1)
  const { access_token } = answers[0]!.body
  expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token: access_token })).status).toBe(200)
})

test('an authentication session lets one of several requests through', async () => {
  const request = { password }
  const { session } = (await ask(url, { method: 'POST', path: `${v3}/register`, body: request })).body
  const answers = await times(5, () => {
    const body = { ...request, username: uniqueName(), auth: { type: 'm.login.dummy', session } }
    return ask(url, { method: 'POST', path: `${v3}/register`, body })
  })
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ status }) => status >= 500)).toHaveLength(0)
})

test('logging out while requests are under way is no fault of the server', async () => {
  const user = await registerUser(url)
  const requests = times(8, (i) => user.ask('PUT', `${profileOf(user)}/displayname`, { displayname: `name ${i}` }))
  const logout = user.ask('POST', `${v3}/logout`, {})
  const statuses = (await requests).map(({ status }) => status)
  expect((await logout).status).toBe(200)
  for (const status of statuses) expect([200, 401]).toContain(status)
})

test('a device that ends while it stores what belongs to it is no fault of the server', async () => {
  const key = { key: 'AAAA', signatures: {} }
  const pusher = {
    pushkey: 'one',
    kind: 'http',
    app_id: 'org.example',
    lang: 'en',
    data: { url: 'http://localhost:1/_matrix/push/v1/notify' },
  }
  const named = { app_display_name: 'App', device_display_name: 'Device' }
  const sliding = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
  const lists = { all: { ranges: [[0, 9]], timeline_limit: 1, required_state: [] } }
  const deeds: ((user: TestUser, i: number) => Promise<Answer>)[] = [
    (user) => user.ask('POST', `${v3}/keys/upload`, { device_keys: deviceKeysOf(user) }),
    (user, i) => user.ask('POST', `${v3}/keys/upload`, { one_time_keys: { [`signed_curve25519:A${i}`]: key } }),
    (user) =>
      user.ask('POST', `${v3}/keys/upload`, { fallback_keys: { 'signed_curve25519:F': { ...key, fallback: true } } }),
    (user, i) => user.ask('POST', `${v3}/pushers/set`, { ...pusher, ...named, pushkey: `key${i}` }),
    (user, i) => user.ask('PUT', `${v3}/sendToDevice/m.any/t${i}`, { messages: { [user.userId]: { '*': { i } } } }),
    (user, i) => user.ask('POST', sliding, { conn_id: `c${i}`, lists }),
    (user) => user.ask('GET', `${v3}/sync?timeout=0`),
    (user) => user.ask('PUT', `${v3}/devices/${user.deviceId}`, { display_name: 'Phone' }),
  ]
  for (let round = 0; round < 4; round++) {
    const user = await registerUser(url)
    const answers = deeds.flatMap((deed) => [0, 1, 2].map((i) => deed(user, i)))
    await new Promise((resolve) => setImmediate(resolve))
    const logout = user.ask('POST', `${v3}/logout`, {})
    const faults = (await Promise.all(answers)).flatMap(({ status, body }, place) =>
      [200, 401, 404].includes(status) ? [] : [[Math.floor(place / 3), status, body]],
    )
    expect(faults).toEqual([])
    expect((await logout).status).toBe(200)
  }
})

test('an account that ends while it logs in is no fault of the server, and has no session', async () => {
  const user = await registerUser(url)
  const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.userId }, password }
  const [gone, ...logins] = await Promise.all([
    user.ask('POST', `${v3}/account/deactivate`, { auth }),
    ...Array.from({ length: 4 }, () => logIn(user)),
  ])
  expect(gone.status).toBe(200)
  for (const { status, body } of logins) {
    expect([200, 403]).toContain(status)
    if (status !== 200) continue
    expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token: body.access_token })).status).toBe(401)
  }
})

import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { fixedClock } from '../../../infra/clock.ts'
import { finishFirstStep } from '../../../services/sign-in/sign-in-steps.ts'
import { listAudited } from '../../../services/users/administration/audit-log.ts'
import { deactivateUser } from '../../../services/users/deactivate.ts'
import {
  changeRegistrationToken,
  createRegistrationToken,
} from '../../../services/users/registration/registration-token-validity.ts'
import { useOwnKey } from '../../../storage/federation/own-keys.ts'
import { findUser, updateAdmin, updateLocked, updateSuspended } from '../../../storage/users/users.ts'
import { startClientApi } from '../../../testing/client-api.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { administratorPages } from '../../page-endpoints.ts'
import { cookieHeader, csrfToken } from '../cookies.ts'
import { adminPages } from './admin-pages.ts'
import { userLink } from './reports.ts'

const clock = fixedClock(1_700_000_000_000)
const FROM = { ip: '192.0.2.1', userAgent: undefined }
const MINUTE_MS = 60_000

let api: Awaited<ReturnType<typeof startClientApi>>
beforeAll(async () => {
  api = await startClientApi({ clock, endpoints: administratorPages })
})
afterAll(() => api.close())

let made = 0
/** Creates a user and a browser in which the user is signed in. */
async function enter(account: { admin?: boolean } = {}) {
  const { app, client, origin } = api
  const { userId } = await client(`user${++made}`, account)
  const { cookie } = await finishFirstStep(app, { cookie: app.random.token(40), ...FROM }, { userId, by: 'password' })
  const send = async (path: string, fields?: Record<string, string>) => {
    const answer = await fetch(origin + path, {
      headers: { Cookie: cookieHeader(app, cookie)['Set-Cookie']!.split(';')[0]! },
      redirect: 'manual',
      ...(fields && { method: 'POST', body: new URLSearchParams(fields) }),
    })
    return { status: answer.status, location: answer.headers.get('location'), text: await answer.text() }
  }
  return { userId, send, csrf: csrfToken(cookie) }
}

const acts = async () =>
  (await listAudited(api.app, { actor: null, target: null, newestFirst: true, beyond: null, limit: 1000 })).map(
    ({ actor, action, target }) => ({ actor, action, target }),
  )

/** A path of an endpoint; its parameters are replaced. */
const pathOf = ({ path }: AnyEndpoint, userId: string) =>
  String(path)
    .replace(':userId', encodeURIComponent(userId))
    .replace(':roomId', encodeURIComponent('!room:hearth.test'))
    .replace(/:(\w+)/g, '1')

const PAGES = adminPages.map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const)
const FORMS = PAGES.filter(([, { method }]) => method === 'POST')

describe('every page', () => {
  test.each(PAGES)('%s is closed to other users', async (_name, endpoint) => {
    const { userId, send, csrf } = await enter()
    const answer = await send(pathOf(endpoint, userId), endpoint.method === 'POST' ? { csrf } : undefined)
    expect(answer.status).toBe(403)
    expect(answer.text).toContain('is not an administrator of this server')
    expect(answer.text).not.toContain('aria-current')
    expect((await acts()).filter(({ actor }) => actor === userId)).toEqual([])
  })

  test.each(PAGES.filter(([, { method }]) => method === 'GET'))('%s leads to the sign-in', async (_name, endpoint) => {
    const path = pathOf(endpoint, '@nobody:hearth.test')
    const answer = await fetch(api.origin + path, { redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([
      303,
      `/login?continue=${encodeURIComponent(path)}`,
    ])
  })
})

describe('every form', () => {
  test.each(FORMS)('%s of another page or browser is refused', async (_name, endpoint) => {
    const { userId, send } = await enter({ admin: true })
    const other = await enter()
    const before = await acts()
    const path = pathOf(endpoint, other.userId)
    for (const fields of [{}, { csrf: other.csrf }]) {
      const answer = await send(path, { ...fields, password: 'another horse battery', localpart: 'new' })
      expect(answer.status).toBe(403)
    }
    const withoutCookie = await fetch(api.origin + path, { method: 'POST', body: new URLSearchParams({ csrf: 'x' }) })
    expect(withoutCookie.status).toBe(403)
    expect(await acts()).toEqual(before)
    expect((await findUser(api.app.database, other.userId))?.deactivated_ts).toBeNull()
    expect((await findUser(api.app.database, userId))?.is_admin).toBe(true)
  })
})

test('acts that could cost accounts need a recent sign-in', async () => {
  const { send, csrf } = await enter({ admin: true })
  const { userId } = await enter()
  clock.advance(16 * MINUTE_MS)
  const own = `/admin/users/${encodeURIComponent(userId)}`
  for (const path of [
    '/admin/users/new',
    '/admin/media/hearth.test/file/delete',
    ...['password', 'deactivate', 'make-admin', 'edit', 'redact'].map((act) => `${own}/${act}`),
  ]) {
    const again = { status: 303, location: `/login?continue=${encodeURIComponent(path)}` }
    expect(await send(path)).toMatchObject(again)
    expect(await send(path, { csrf, password: 'another horse battery' })).toMatchObject(again)
  }
  expect(await send(`${own}/lock`)).toMatchObject({ status: 200 })
})

test('a suspended administrator can only read', async () => {
  const { userId: adminId, send, csrf } = await enter({ admin: true })
  const { userId } = await enter()
  await api.app.database.write((tx) => updateSuspended(tx, adminId, true))
  const path = `/admin/users/${encodeURIComponent(userId)}/lock`
  expect(await send(path)).toMatchObject({ status: 200 })
  expect(await send(path, { csrf })).toMatchObject({ status: 403 })
  expect((await findUser(api.app.database, userId))?.locked).toBe(false)
})

describe('a browser of a former administrator', () => {
  test.each([
    ['is locked', 403, (id: UserId) => api.app.database.write((tx) => updateLocked(tx, id, 1))],
    ['is deactivated', 303, (id: UserId) => deactivateUser(api.app, { userId: id, erase: false })],
    ['has lost the rights', 403, (id: UserId) => api.app.database.write((tx) => updateAdmin(tx, id, false))],
    [
      'has an expired session',
      303,
      async () => clock.advance(api.app.config.sessions.web_session_lifetime + MINUTE_MS),
    ],
  ])('who %s sees and does nothing', async (_case, status, end) => {
    const { userId: adminId, send, csrf } = await enter({ admin: true })
    const { userId } = await enter()
    await end(adminId)
    const path = `/admin/users/${encodeURIComponent(userId)}/lock`
    for (const answer of [await send('/admin'), await send(path), await send(path, { csrf })]) {
      expect(answer.status).toBe(status)
      expect(answer.text).not.toContain('aria-current')
    }
    expect((await findUser(api.app.database, userId))?.locked).toBe(false)
  })
})

test('a revoked registration token is shown as revoked', async () => {
  const { send } = await enter({ admin: true })
  await createRegistrationToken(api.app, { token: 'withdrawn', usesAllowed: null, expiresTs: null })
  expect((await send('/admin/tokens')).text).not.toContain('Revoked')
  await changeRegistrationToken(api.app, 'withdrawn', { revoked_ts: clock.now() })
  expect((await send('/admin/tokens')).text).toContain('Revoked')
})

test('the page of a remote user leads to what there is about them', async () => {
  const { send } = await enter({ admin: true })
  const { status, text } = await send(`/admin/users/${encodeURIComponent('@far:remote.example')}`)
  expect([status, text]).toEqual([200, expect.stringContaining('/admin/federation?q=remote.example')])
})

test('an operator, who has no page, is named without a link', () => {
  expect(userLink('command line: root').text).toBe('<span class="id">command line: root</span>')
  expect(userLink('@a:hearth.test').text).toContain('href="/admin/users/%40a%3Ahearth.test"')
})

describe('acts', () => {
  /** Does an act on a new user, as an administrator; returns the answer, the user and the entry of the audit log. */
  async function act(below: string, fields: Record<string, string> = {}, by = enter({ admin: true })) {
    const { send, csrf, userId: actor } = await by
    const { userId } = await enter()
    const path = `/admin/users/${encodeURIComponent(userId)}/${below}`
    const answer = await send(path, { csrf, ...fields })
    const entry = (await acts()).find((each) => each.actor === actor)
    return { answer, entry, userId, user: await findUser(api.app.database, userId), send }
  }

  test.each([
    ['lock', {}, 'PUT /_synapse/admin/v2/users/:userId', { locked: true }],
    ['suspend', {}, 'PUT /_synapse/admin/v1/suspend/:userId', { suspended: true }],
    ['make-admin', {}, 'PUT /_synapse/admin/v1/users/:userId/admin', { is_admin: true }],
    ['deactivate', {}, 'POST /_synapse/admin/v1/deactivate/:userId', { erased: false }],
    ['deactivate', { erase: 'on' }, 'POST /_synapse/admin/v1/deactivate/:userId', { erased: true }],
    [
      'rate-limit',
      { 'per-second': '7', burst: '9' },
      'POST /_synapse/admin/v1/users/:userId/override_ratelimit',
      { messages_per_second: 7, message_burst: 9 },
    ],
    [
      'edit',
      { name: 'New', mails: 'a@b.example', type: 'bot' },
      'PUT /_synapse/admin/v2/users/:userId',
      { user_type: 'bot' },
    ],
    ['sign-out', {}, 'POST /admin/users/:userId/sign-out', {}],
  ])('%s %j', async (below, fields, action, changed) => {
    const { answer, entry, userId, user, send } = await act(below, fields as Record<string, string>)
    const page = `/admin/users/${encodeURIComponent(userId)}`
    expect([answer.status, answer.location]).toEqual([303, expect.stringContaining(`${page}?done=`)])
    expect(entry).toMatchObject({ action, target: userId })
    expect(user).toMatchObject(changed)
    expect((await send(answer.location!)).text).toContain('role="status"')
  })

  test('a type of user that this page does not know stays as it is', async () => {
    const by = await enter({ admin: true })
    const { userId } = await enter()
    await api.app.database.sql.updateTable('users').set({ user_type: 'tool' }).where('user_id', '=', userId).execute()
    const path = `/admin/users/${encodeURIComponent(userId)}/edit`
    expect((await by.send(path)).text).toMatch(/<option value="tool" selected/)
    const userType = async (fields: Record<string, string>) => {
      expect((await by.send(path, { csrf: by.csrf, ...fields })).status).toBe(303)
      return (await findUser(api.app.database, userId))!.user_type
    }
    expect(await userType({ name: 'New', type: 'tool' })).toBe('tool')
    expect(await userType({ name: 'New', type: '' })).toBeNull()
  })

  test('what is refused is shown, with what was entered, and not recorded', async () => {
    const { answer, entry, userId } = await act('rate-limit', { 'per-second': '-1', burst: '3' })
    expect(answer.status).toBe(400)
    expect(answer.text).toMatch(/role="alert"[\s\S]*value="-1"/)
    expect(answer.text).toContain(userId)
    expect(entry).toBeUndefined()
  })

  test('a taken name is refused, and the account stays as it is', async () => {
    const { send, csrf } = await enter({ admin: true })
    const { userId } = await enter()
    const before = await findUser(api.app.database, userId)
    const fields = { csrf, password: 'another horse battery', admin: 'on' }
    const localpart = userId.slice(1).split(':')[0]!
    const answer = await send('/admin/users/new', { ...fields, localpart })
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('This user name is taken')])
    expect(await findUser(api.app.database, userId)).toEqual(before)
    expect(await send('/admin/users/new', { ...fields, localpart: 'created' })).toMatchObject({ status: 303 })
    expect(await findUser(api.app.database, '@created:hearth.test' as typeof userId)).toMatchObject({ is_admin: true })
  })
})

test('the signing keys are shown, and replaced', async () => {
  const { userId, send, csrf } = await enter({ admin: true })
  const path = '/admin/federation/rotate-signing-key'
  expect((await send('/admin/federation')).text).toContain(path)
  expect(await send(path, { csrf })).toMatchObject({
    status: 303,
    location: '/admin/federation?done=rotateSigningKey',
  })
  const page = await send('/admin/federation?done=rotateSigningKey')
  expect(page.text).toContain('The signing key was replaced.')
  expect(page.text).toMatch(/ed25519:a_\w{4}</)
  expect(await acts()).toContainEqual(
    expect.objectContaining({ actor: userId, action: 'POST /_hearth/admin/v1/signing_keys/rotate' }),
  )
  await api.app.database.write((tx) => useOwnKey(tx, { keyId: 'ed25519:next', publicKey: 'next' }, clock.now() + 1))
  expect((await send(path, { csrf })).text).toContain('replaced within the last hour')
})

test('refused events are shown of one room or all, and of no room if a name is no ID', async () => {
  const { send } = await enter({ admin: true })
  const room = '!refused:hearth.test'
  await api.app.database.write((tx) =>
    sql`insert into events (event_nid, event_id, room_id, type, sender, origin_server_ts, depth, json, rejected)
      values (-1, '$refused', ${room}, 'm.room.message', '@spammer:gone.test', 1, 1, '{}', 'rule <5>')`.execute(tx.sql),
  )
  const list = async (query: string) => (await send(`/admin/rejected-events${query}`)).text
  expect(await list('')).toMatch(/rule &(lt|#60);5/)
  expect(await list(`?room=${encodeURIComponent(room)}`)).toContain('$refused')
  expect(await list(`?room=${encodeURIComponent(room)}&outcome=soft_failed`)).not.toContain('$refused')
  expect(await list('?room=kitchen')).not.toContain('$refused')
})

test('a server that does not respond is shown, and tried again', async () => {
  const { userId, send, csrf } = await enter({ admin: true })
  const now = clock.now()
  await api.app.database.write((tx) =>
    sql`insert into federation_destinations (destination, failures, failing_since, failed_ts, retry_ts)
      values ('gone.test', 5, ${now - MINUTE_MS}, ${now}, ${now + 60 * MINUTE_MS})`.execute(tx.sql),
  )
  const path = '/admin/federation/gone.test/retry'
  const list = await send('/admin/federation?q=GONE')
  expect(list.text).toContain('does not respond')
  expect(list.text).toContain(path)
  expect((await send(path)).text).toContain('<code>gone.test</code>')
  expect(await send(path, { csrf })).toMatchObject({ status: 303, location: '/admin/federation?done=retryServer' })
  expect((await send('/admin/federation?done=retryServer')).text).not.toContain(path)
  expect(await acts()).toContainEqual(expect.objectContaining({ actor: userId, target: 'gone.test' }))
  expect((await send(path, { csrf })).text).toContain('no back-off')
})

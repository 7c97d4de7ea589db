import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { findDevice } from '../../storage/devices.ts'
import { updateLocked, updateSuspended } from '../../storage/users.ts'
import { createUser } from './create-user.ts'
import { logInWithPassword } from './log-in.ts'
import { refreshTokens } from './refresh.ts'
import { findSession } from './sessions.ts'
import { createUsersTestApp, type UsersTestApp } from './test-users-app.ts'

const password = 'correct horse'
const from = { ip: '192.0.2.1', userAgent: 'test' }
let app: UsersTestApp
let userId: UserId
let made = 0

beforeAll(async () => {
  app = await createUsersTestApp({ sessions: { access_token_lifetime: '5m' } })
  userId = await createUser(app, { localpart: 'alice', password })
})
afterAll(() => app.database.close())

function logIn(wantsRefreshToken = false) {
  const device = { deviceId: `D${++made}` as DeviceId, wantsRefreshToken }
  return logInWithPassword(app, { identifier: { user: 'alice' }, password, device })
}

test('says who holds a token', async () => {
  const login = await logIn()
  expect(await findSession(app, { accessToken: login.access_token, ...from })).toMatchObject({
    userId,
    deviceId: login.device_id,
    isAdmin: false,
    isGuest: false,
    isLocked: false,
    isSuspended: false,
  })
})

test('says whether the user is locked or suspended', async () => {
  const { access_token: accessToken } = await logIn()
  await app.database.write(async (tx) => {
    await updateLocked(tx, userId, true)
    await updateSuspended(tx, userId, true)
  })
  expect(await findSession(app, { accessToken, ...from })).toMatchObject({ isLocked: true, isSuspended: true })
  await app.database.write(async (tx) => {
    await updateLocked(tx, userId, false)
    await updateSuspended(tx, userId, false)
  })
})

test('an unknown token is no soft logout, an expired one is', async () => {
  const unknown = findSession(app, { accessToken: 'none', ...from })
  await expect(unknown).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', extra: { soft_logout: false } })
  const first = await logIn(true)
  expect(first.expires_in_ms).toBe(300_000)
  app.clock.advance(300_000)
  const expired = findSession(app, { accessToken: first.access_token, ...from })
  await expect(expired).rejects.toMatchObject({ status: 401, extra: { soft_logout: true } })
  const second = await refreshTokens(app, first.refresh_token!)
  expect((await findSession(app, { accessToken: second.access_token, ...from })).deviceId).toBe(first.device_id)
})

test('tokens are not in the database, only their hashes', async () => {
  const login = await logIn(true)
  const { rows } = await sql<{ text: string }>`select access_tokens::text as text from access_tokens
    union all select refresh_tokens::text from refresh_tokens`.execute(app.database.sql)
  const all = rows.map(({ text }) => text).join()
  expect(all).toContain(login.device_id)
  expect(all).not.toContain(login.access_token)
  expect(all).not.toContain(login.refresh_token)
})

test('notes where a device was seen, but not with every request', async () => {
  const { access_token: accessToken, device_id: deviceId } = await logIn()
  const seen = async () => (await findDevice(app.database, { userId, deviceId }))?.last_seen_ip
  await findSession(app, { accessToken, ip: '192.0.2.1', userAgent: 'a' })
  await expect.poll(seen).toBe('192.0.2.1')
  app.clock.advance(60_000)
  await findSession(app, { accessToken, ip: '192.0.2.2', userAgent: 'a' })
  await app.database.write(async () => {})
  expect(await seen()).toBe('192.0.2.1')
  app.clock.advance(180_000)
  await findSession(app, { accessToken, ip: '192.0.2.3', userAgent: 'a' })
  await expect.poll(seen).toBe('192.0.2.3')
})

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { updateLocked } from '../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from './create-user.ts'
import { deactivateUser } from './deactivate.ts'
import { logInWithPassword, logInWithToken } from './log-in.ts'
import { newLoginToken } from './login-tokens.ts'
import { findSession } from './sessions.ts'

const password = 'correct horse'
const device = { wantsRefreshToken: false }
let app: TestApp
let userId: UserId

beforeAll(async () => {
  app = await createTestApp({ config: { sessions: { login_token_lifetime: '2m' } } })
  userId = await createUser(app, { localpart: 'alice', password })
})
afterAll(() => app.close())

const loginToken = async (user = 'alice') => {
  const login = await logInWithPassword(app, { identifier: { user }, password, device })
  const from = { ip: '192.0.2.1', userAgent: undefined }
  const session = await findSession(app, { accessToken: login.access_token, ...from })
  return newLoginToken(app, { ...session, deviceId: null })
}

test('a login token works once, and until it expires', async () => {
  const first = await loginToken()
  expect(first.expires_in_ms).toBe(120_000)
  app.clock.advance(119_999)
  expect((await logInWithToken(app, { token: first.login_token, device })).user_id).toBe(userId)
  await expect(logInWithToken(app, { token: first.login_token, device })).rejects.toMatchObject({ status: 403 })
  const second = await loginToken()
  app.clock.advance(120_000)
  await expect(logInWithToken(app, { token: second.login_token, device })).rejects.toMatchObject({ status: 403 })
})

test('an account without password cannot be logged in to by one', async () => {
  await createUser(app, { localpart: 'bot' })
  for (const guess of ['', 'null', password]) {
    await expect(
      logInWithPassword(app, { identifier: { user: 'bot' }, password: guess, device }),
    ).rejects.toMatchObject({
      status: 403,
    })
  }
})

test('whether an account is locked, only its owner finds out', async () => {
  await app.database.write((tx) => updateLocked(tx, userId, 1))
  const right = logInWithPassword(app, { identifier: { user: 'alice' }, password, device })
  await expect(right).rejects.toMatchObject({ errcode: 'M_USER_LOCKED' })
  const wrong = logInWithPassword(app, { identifier: { user: 'alice' }, password: 'wrong', device })
  await expect(wrong).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  await app.database.write((tx) => updateLocked(tx, userId, null))
})

test('a deactivated account cannot be logged in to by any way', async () => {
  const gone = await createUser(app, { localpart: 'gone', password })
  const { login_token: token } = await loginToken('gone')
  await deactivateUser(app, { userId: gone, erase: false })
  const byPassword = logInWithPassword(app, { identifier: { user: 'gone' }, password, device })
  await expect(byPassword).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  await expect(logInWithToken(app, { token, device })).rejects.toMatchObject({ status: 403 })
})

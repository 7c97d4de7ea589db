import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { confirmTotpSecret } from '../../storage/sign-in/totp-secrets.ts'
import { updateLocked } from '../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from '../users/create-user.ts'
import { setPassword } from '../users/set-password.ts'
import { finishFirstStep, finishSecondStep, signInWithPassword } from './sign-in-steps.ts'
import { beginTotp } from './totp.ts'
import { isRecent, newCookie, recognizeBrowser } from './web-sessions.ts'

const password = 'correct horse'
let app: TestApp
let userId: UserId
beforeAll(async () => {
  app = await createTestApp({ config: { sessions: { web_session_lifetime: '1h' } } })
  userId = await createUser(app, { localpart: 'alice', password })
})
afterAll(() => app.close())

const browser = (cookie = newCookie(app)) => ({ cookie, ip: '192.0.2.1', userAgent: 'Test' })
const signIn = (from = browser()) => signInWithPassword(app, from, { identifier: { user: 'alice' }, password })

test('a session lasts as long as it is used', async () => {
  const { cookie } = await signIn()
  const { session } = await recognizeBrowser(app, browser(cookie))
  expect(session).toMatchObject({ userId, isLocked: false })
  expect(isRecent(app, session!)).toBe(true)
  app.clock.advance(50 * 60_000)
  expect(isRecent(app, session!)).toBe(false)
  await recognizeBrowser(app, browser(cookie))
  const expiry = () => app.database.sql.selectFrom('web_sessions').select('expires_ts').executeTakeFirst()
  await expect.poll(expiry).toEqual({ expires_ts: app.clock.now() + 60 * 60_000 })
  app.clock.advance(60 * 60_000)
  expect((await recognizeBrowser(app, browser(cookie))).session).toBeUndefined()
})

test('what was checked must still hold when the session begins', async () => {
  const stale = finishFirstStep(app, browser(), { userId, by: 'password', passwordHash: 'another' })
  await expect(stale).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  await app.database.write((tx) => updateLocked(tx, userId, 1))
  await expect(signIn()).rejects.toMatchObject({ errcode: 'M_USER_LOCKED' })
  await app.database.write((tx) => updateLocked(tx, userId, null))
})

test('if the first step cannot be written, nobody is signed in', async () => {
  const from = browser()
  const failed = finishFirstStep(app, from, { userId, by: 'upstream' }, async () => {
    throw new Error('consumed before')
  })
  await expect(failed).rejects.toThrow('consumed before')
  expect((await recognizeBrowser(app, from)).session).toBeUndefined()
})

test('a second step needs the first', async () => {
  const prove = async () => {}
  await expect(finishSecondStep(app, browser(), { userId, prove })).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
})

test('a new password ends the sessions of browsers, except one', async () => {
  const kept = await signIn()
  const other = await signIn()
  await setPassword(app, { userId, password: 'another horse', logOutDevices: true, keepCookie: kept.cookie })
  expect((await recognizeBrowser(app, browser(kept.cookie))).session).toBeDefined()
  expect((await recognizeBrowser(app, browser(other.cookie))).session).toBeUndefined()
})

test('sign-ins whose second step is missing do not sign other browsers out', async () => {
  const guarded = await createUser(app, { localpart: 'guarded' })
  const { cookie } = await finishFirstStep(app, browser(), { userId: guarded, by: 'passkey' })
  await beginTotp(app, guarded)
  await app.database.write((tx) => confirmTotpSecret(tx, guarded, 1))
  for (let count = 0; count < 101; count++) {
    app.clock.advance(1)
    const step = await finishFirstStep(app, browser(), { userId: guarded, by: 'password' })
    expect(step.next).toBe('second factor')
  }
  expect((await recognizeBrowser(app, browser(cookie))).session).toBeDefined()
})

test('a user is signed in with at most 100 browsers', async () => {
  const many = await createUser(app, { localpart: 'many' })
  const cookies: string[] = []
  for (let count = 0; count < 101; count++) {
    app.clock.advance(1)
    cookies.push((await finishFirstStep(app, browser(), { userId: many, by: 'upstream' })).cookie)
  }
  const isKnown = async (cookie: string) => (await recognizeBrowser(app, browser(cookie))).session !== undefined
  expect([await isKnown(cookies[0]!), await isKnown(cookies[1]!), await isKnown(cookies[100]!)]).toEqual([
    false,
    true,
    true,
  ])
})

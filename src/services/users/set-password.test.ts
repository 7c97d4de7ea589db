import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { EmailAddress } from '../../core/text/email-address.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from './create-user.ts'
import { deactivateUser } from './deactivate.ts'
import { type ProofLink, requestEmailProof } from './email-proof.ts'
import { logInWithPassword, logInWithToken } from './log-in.ts'
import { newLoginToken } from './login-tokens.ts'
import { findSession } from './sessions.ts'
import { setPassword } from './set-password.ts'
import { ACCOUNT_PAGE_SECRET, confirmEmail } from './third-party-ids.ts'

const old = 'correct horse battery'
const fresh = 'another good password'
const device = { wantsRefreshToken: false }
let app: TestApp
let localpart: string
let userId: UserId
let made = 0

beforeAll(async () => {
  app = await createTestApp()
})
afterAll(() => app.close())
beforeEach(async () => {
  localpart = `alice${++made}`
  userId = await createUser(app, { localpart, password: old })
})

const logIn = (password: string, on = app, deviceId?: string) =>
  logInWithPassword(on, {
    identifier: { user: localpart },
    password,
    device: { ...device, deviceId: deviceId as DeviceId | undefined },
  })
const sessionOf = (accessToken: string) => findSession(app, { accessToken, ip: '::1', userAgent: undefined })

/** Returns an app that runs an action after a password check. */
function afterChecking(happens: () => Promise<unknown>): TestApp {
  const { passwordHasher } = app
  const verify: typeof passwordHasher.verify = async (hash, password) => {
    const matches = await passwordHasher.verify(hash, password)
    await happens()
    return matches
  }
  return { ...app, passwordHasher: { ...passwordHasher, verify } }
}

test('the new password works, the old one does not', async () => {
  await setPassword(app, { userId, password: fresh, logOutDevices: false })
  expect((await logIn(fresh)).user_id).toBe(userId)
  await expect(logIn(old)).rejects.toMatchObject({ status: 403 })
})

test('sessions and login tokens end, but for the one that is kept', async () => {
  const [kept, other] = [await logIn(old), await logIn(old)]
  const { login_token: token } = await newLoginToken(app, { ...(await sessionOf(other.access_token)), deviceId: null })
  await setPassword(app, { userId, password: fresh, logOutDevices: true, keep: await sessionOf(kept.access_token) })
  expect((await sessionOf(kept.access_token)).userId).toBe(userId)
  await expect(sessionOf(other.access_token)).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
  await expect(logInWithToken(app, { token, device })).rejects.toMatchObject({ status: 403 })
})

test('an address that was waiting for its link cannot be added any more', async () => {
  let link: ProofLink | undefined
  await requestEmailProof(
    { ...app, mailer: { send: async () => {}, close: () => {} } },
    {
      purpose: 'account',
      address: `thief${made}@example.org` as EmailAddress,
      userId,
      clientSecret: ACCOUNT_PAGE_SECRET,
      sendAttempt: 1,
      nextLink: undefined,
      pathOf: (mailed) => {
        link = mailed
        return '/'
      },
    },
  )
  await setPassword(app, { userId, password: fresh, logOutDevices: true })
  await expect(confirmEmail(app, link!)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
})

test('without logging out, sessions stay', async () => {
  const session = await logIn(old)
  await setPassword(app, { userId, password: fresh, logOutDevices: false })
  expect((await sessionOf(session.access_token)).userId).toBe(userId)
})

test('a login with the old password that is under way gets no session', async () => {
  const meanwhile = afterChecking(() => setPassword(app, { userId, password: fresh, logOutDevices: true }))
  await expect(logIn(old, meanwhile)).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
})

test('a login under way to an account that ends makes no device', async () => {
  const meanwhile = afterChecking(() => deactivateUser(app, { userId, erase: false }))
  await expect(logIn(old, meanwhile, 'LATE')).rejects.toMatchObject({ status: 403 })
  const rows = await app.database.sql.selectFrom('devices').select('device_id').where('user_id', '=', userId).execute()
  expect(rows).toEqual([])
})

test('accounts that are not, or no more, get no password', async () => {
  const missing = { userId: '@nobody:hearth.test' as UserId, password: fresh, logOutDevices: true }
  await expect(setPassword(app, missing)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  await deactivateUser(app, { userId, erase: false })
  await expect(setPassword(app, { userId, password: fresh, logOutDevices: true })).rejects.toMatchObject({
    errcode: 'M_NOT_FOUND',
  })
  await expect(logIn(fresh)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
})

test('a weak password changes nothing', async () => {
  await expect(setPassword(app, { userId, password: 'short', logOutDevices: true })).rejects.toMatchObject({
    errcode: 'M_WEAK_PASSWORD',
  })
  expect((await logIn(old)).user_id).toBe(userId)
})

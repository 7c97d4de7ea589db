import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, START, type TestApp } from '../../testing/create-test-app.ts'
import {
  findRenewable,
  isUsableAccount,
  mailRenewalLink,
  renewByLink,
  setAccountValidity,
  sweepAccountValidity,
} from './account-validity.ts'
import { createUser } from './create-user.ts'
import { logInWithPassword } from './log-in.ts'
import { findSession } from './sessions.ts'

const DAY = 86_400_000
const ALICE = '@alice:hearth.test' as UserId
const OLD = '@old:hearth.test' as UserId
const password = 'correct horse'
const from = { ip: '127.0.0.1', userAgent: undefined }

let app: TestApp
beforeEach(() => open())
afterEach(() => app.close())

async function open(more: object = {}): Promise<void> {
  const mailer = { send: async () => {}, close: () => {} }
  const config = { account_validity: { period: '30d', mail_before: '10d', ...more } }
  app = await createTestApp({ mailer, config, users: [OLD] })
  await createUser(app, { localpart: 'alice', password, email: 'alice@example.org' })
}

const logIn = () =>
  logInWithPassword(app, { identifier: { user: 'alice' }, password, device: { wantsRefreshToken: false } })
const isExpired = async (accessToken: string) => (await findSession(app, { accessToken, ...from })).isExpired
const validityOf = async (userId: UserId) =>
  (await app.database.sql.selectFrom('users').selectAll().where('user_id', '=', userId).executeTakeFirst())!
    .valid_until_ts

async function mails(): Promise<{ subject: string; text: string }[]> {
  const jobs = await app.database.sql.selectFrom('jobs').select('payload').orderBy('job_nid').execute()
  return jobs.map(({ payload }) => JSON.parse(payload))
}

const tokenIn = ({ text }: { text: string }) => /\/account\/renew\/(\w+)/.exec(text)![1]!

describe('an account with a limited validity', () => {
  test('expires, for its sessions and for logins', async () => {
    const { access_token: token } = await logIn()
    app.clock.advance(30 * DAY - 1)
    expect(await isExpired(token)).toBe(false)
    app.clock.advance(1)
    expect(await isExpired(token)).toBe(true)
    await expect(logIn()).rejects.toMatchObject({ status: 403, errcode: 'ORG_MATRIX_EXPIRED_ACCOUNT' })
    await expect(
      logInWithPassword(app, {
        identifier: { user: 'alice' },
        password: 'wrong',
        device: { wantsRefreshToken: false },
      }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  test('gets one link ahead of time, which renews it once', async () => {
    await sweepAccountValidity(app)
    expect(await mails()).toEqual([])
    app.clock.advance(20 * DAY)
    await Promise.all([sweepAccountValidity(app), sweepAccountValidity(app)])
    await sweepAccountValidity(app)
    const [mail, ...others] = await mails()
    expect([mail!.subject, others]).toEqual([`Your account ${ALICE} expires on 2023-12-14`, []])
    expect(await findRenewable(app, tokenIn(mail!))).toEqual({ userId: ALICE, validUntil: START + 30 * DAY })
    app.clock.advance(20 * DAY)
    expect(await renewByLink(app, tokenIn(mail!))).toBe(START + 70 * DAY)
    expect(await validityOf(ALICE)).toBe(START + 70 * DAY)
    await expect(renewByLink(app, tokenIn(mail!))).rejects.toMatchObject({ status: 404 })
    expect((await logIn()).user_id).toBe(ALICE)
    app.clock.advance(21 * DAY)
    await sweepAccountValidity(app)
    expect(await mails()).toHaveLength(2)
  })

  test('gets the link again at a sign-in after it has expired, at most once an hour', async () => {
    app.clock.advance(31 * DAY)
    for (let attempt = 0; attempt < 3; attempt++) await expect(logIn()).rejects.toThrow('expired')
    await mailRenewalLink(app, ALICE)
    expect((await mails()).map(({ subject }) => subject)).toEqual([`Your account ${ALICE} has expired`])
    app.clock.advance(3_600_000)
    await expect(logIn()).rejects.toThrow('expired')
    const [first, second] = await mails()
    await expect(findRenewable(app, tokenIn(first!))).rejects.toMatchObject({ status: 404 })
    expect((await findRenewable(app, tokenIn(second!))).userId).toBe(ALICE)
  })

  test('is renewed or ended by an administrator', async () => {
    const { access_token: token } = await logIn()
    const set = (until?: number) => setAccountValidity(app, { userId: ALICE, until, mails: true })
    expect(await set(START - 1)).toBe(START - 1)
    expect(await isExpired(token)).toBe(true)
    expect(await set()).toBe(START + 30 * DAY)
    expect(await isExpired(token)).toBe(false)
    const nobody = { userId: '@nobody:hearth.test' as UserId, until: undefined, mails: true }
    await expect(setAccountValidity(app, nobody)).rejects.toMatchObject({ status: 404 })
  })
})

test('accounts from before get one period, and users without an address no mail', async () => {
  app.clock.advance(DAY)
  await sweepAccountValidity(app)
  expect(await validityOf(OLD)).toBe(START + 31 * DAY)
  app.clock.advance(30 * DAY)
  await sweepAccountValidity(app)
  expect((await mails()).map(({ text }) => text.includes(OLD))).toEqual([false])
  expect(await validityOf(OLD)).toBe(START + 31 * DAY)
})

test('administrators do not expire, and nobody does where no period is set', async () => {
  const { access_token: token } = await logIn()
  app.clock.advance(31 * DAY)
  await app.database.sql.updateTable('users').set({ is_admin: true }).where('user_id', '=', ALICE).execute()
  expect(await isExpired(token)).toBe(false)
  await app.close()
  await open({ period: undefined })
  await sweepAccountValidity(app)
  expect(await validityOf(ALICE)).toBeNull()
  await expect(setAccountValidity(app, { userId: ALICE, until: undefined, mails: true })).rejects.toMatchObject({
    errcode: 'M_INVALID_PARAM',
  })
})

test('without mails only administrators renew', async () => {
  await app.close()
  await open({ renew_by_mail: false })
  app.clock.advance(31 * DAY)
  await sweepAccountValidity(app)
  await expect(logIn()).rejects.toThrow('expired')
  expect(await mails()).toEqual([])
})

test('an account may be used unless it is locked, deactivated or expired', async () => {
  const now = app.clock.now()
  const account = { deactivated_ts: null, locked: false, valid_until_ts: now + DAY, is_admin: false }
  const changes = [{}, { locked: true }, { deactivated_ts: now }, { valid_until_ts: now }]
  expect(changes.map((change) => isUsableAccount(app, { ...account, ...change }))).toEqual([true, false, false, false])
})

import { afterEach, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { createTestApp, START, type TestApp } from '../../../testing/create-test-app.ts'
import { enqueueNotice } from './account-notices.ts'

const ALICE = '@alice:hearth.test' as UserId

let app: TestApp
afterEach(() => app.close())

async function openApp(notices: { sign_in?: boolean; account_changes?: boolean } = {}): Promise<void> {
  const mailer = { send: async () => {}, close: () => {} }
  app = await createTestApp({ users: [ALICE], mailer, config: { email: { notices } } })
  await app.database.write(async (tx) => {
    await tx.sql.updateTable('users').set({ language: 'zh-Hans' }).where('user_id', '=', ALICE).execute()
    const threepid = { medium: 'email', user_id: ALICE, validated_ts: START, added_ts: START }
    await tx.sql
      .insertInto('threepids')
      .values(['old@example.org', 'new@example.org'].map((address) => ({ ...threepid, address })))
      .execute()
  })
}

async function queuedMails(): Promise<{ to: string; subject: string; text: string; html: string }[]> {
  const jobs = await app.database.sql.selectFrom('jobs').select('payload').orderBy('job_nid').execute()
  return jobs.map(({ payload }) => JSON.parse(payload))
}

const signIn = { kind: 'sign_in', device: 'Phone', client: undefined, address: '192.0.2.7' } as const

test('are written in the language of the user', async () => {
  await openApp()
  await app.database.write((tx) => enqueueNotice(app, tx, { userId: ALICE, notice: signIn }))
  const mails = await queuedMails()
  expect(mails.map(({ to }) => to)).toEqual(['new@example.org', 'old@example.org'])
  expect(mails[0]!.subject).toBe('@alice:hearth.test 有新的登录')
  expect(mails[0]!.text).toContain('网络地址: 192.0.2.7')
  expect(mails[0]!.html).toContain('<html lang="zh-Hans">')
})

test('of a new address do not go to that address', async () => {
  await openApp()
  const notice = { kind: 'email_added', address: 'new@example.org' } as const
  await app.database.write((tx) => enqueueNotice(app, tx, { userId: ALICE, notice }))
  expect((await queuedMails()).map(({ to }) => to)).toEqual(['old@example.org'])
})

test.each([
  [{ sign_in: false }, ['second_factor_removed']],
  [{ account_changes: false }, ['sign_in']],
])('with the setting %j only %j', async (notices, told) => {
  await openApp(notices)
  const removal = { kind: 'second_factor_removed', factor: 'totp' } as const
  for (const notice of [signIn, removal])
    await app.database.write((tx) => enqueueNotice(app, tx, { userId: ALICE, notice }))
  const mails = await queuedMails()
  expect(mails).toHaveLength(2)
  for (const { subject } of mails) expect(subject.includes('登录')).toBe(told[0] === 'sign_in')
})

test('are lost with a transaction that fails', async () => {
  await openApp()
  const failing = app.database.write(async (tx) => {
    await enqueueNotice(app, tx, { userId: ALICE, notice: signIn })
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await queuedMails()).toEqual([])
})

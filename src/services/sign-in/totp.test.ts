import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { totpCode } from '../../../testing/totp-code.ts'
import type { UserId } from '../../core/ids.ts'
import { countSecondFactors } from '../../storage/users/second-factors.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from '../users/create-user.ts'
import { takeRecoveryCode } from './recovery-codes.ts'
import { renewRecoveryCodes, resetSecondFactors } from './second-factors.ts'
import { beginTotp, confirmTotp, findPendingTotp, removeTotp, takeTotpCode } from './totp.ts'

const STEP_MS = 30_000
let app: TestApp
let userId: UserId
let users = 0

beforeAll(async () => {
  app = await createTestApp()
})
afterAll(() => app.close())
beforeEach(async () => {
  userId = await createUser(app, { localpart: `user${users++}` })
})

const codeOf = (secret: string, steps = 0) => totpCode(secret, app.clock.now() + steps * STEP_MS)
const takes = (code: string) => app.database.write((tx) => takeTotpCode(app, tx, { userId, code }))
const takesRecovery = (code: string) => app.database.write((tx) => takeRecoveryCode(tx, userId, code))

async function setUp(): Promise<{ secret: string; recoveryCodes: string[] }> {
  await beginTotp(app, userId)
  const { secret } = (await findPendingTotp(app, userId))!
  const { recoveryCodes } = await confirmTotp(app, { userId, code: codeOf(secret) })
  return { secret, recoveryCodes: recoveryCodes! }
}

test('an app is in force only after its first code', async () => {
  await beginTotp(app, userId)
  const { secret } = (await findPendingTotp(app, userId))!
  expect(await takes(codeOf(secret))).toBe(false)
  await expect(confirmTotp(app, { userId, code: codeOf(secret, 5) })).rejects.toMatchObject({ status: 403 })
  expect((await countSecondFactors(app.database, userId)).totp).toBe(false)
  const typed = codeOf(secret).replace(/^.../, '$& ')
  expect((await confirmTotp(app, { userId, code: typed })).recoveryCodes).toHaveLength(10)
  expect(await countSecondFactors(app.database, userId)).toEqual({ totp: true, passkeys: 0, recoveryCodes: 10 })
  expect(await findPendingTotp(app, userId)).toBeUndefined()
})

test('a code is good once, and none is good that is older than a used one', async () => {
  const { secret } = await setUp()
  expect(await takes(codeOf(secret)), 'the code of the confirmation').toBe(false)
  expect(await takes(codeOf(secret, -1))).toBe(false)
  const next = codeOf(secret, 1)
  expect(await Promise.all([takes(next), takes(next)])).toEqual([true, false])
  app.clock.advance(2 * STEP_MS)
  expect(await takes(next)).toBe(false)
  expect(await takes(codeOf(secret))).toBe(true)
})

test('an app in force works until another one is confirmed, and then no more', async () => {
  const { secret: old } = await setUp()
  app.clock.advance(STEP_MS)
  await beginTotp(app, userId)
  const { secret } = (await findPendingTotp(app, userId))!
  expect(await takes(codeOf(old))).toBe(true)
  expect((await confirmTotp(app, { userId, code: codeOf(secret) })).recoveryCodes).toBeUndefined()
  app.clock.advance(STEP_MS)
  expect(await takes(codeOf(old))).toBe(false)
  expect(await takes(codeOf(secret))).toBe(true)
})

test('a recovery code is good once, however it is typed, and stored as a hash', async () => {
  const { recoveryCodes } = await setUp()
  const [first, second, third] = recoveryCodes as [string, string, string]
  expect(first).toMatch(/^([a-z2-7]{4}-){3}[a-z2-7]{4}$/)
  expect(await Promise.all([takesRecovery(first), takesRecovery(first)])).toEqual([true, false])
  expect(await takesRecovery(` ${second.toUpperCase().replaceAll('-', ' ').replaceAll('O', '0')} `)).toBe(true)
  expect(await takesRecovery('')).toBe(false)
  const stored = await app.database.sql.selectFrom('recovery_codes').selectAll().execute()
  expect(JSON.stringify(stored)).not.toContain(third.replaceAll('-', ''))
})

test('new recovery codes end the earlier ones', async () => {
  const { recoveryCodes } = await setUp()
  const [renewed] = await renewRecoveryCodes(app, userId)
  expect(await takesRecovery(recoveryCodes[0]!)).toBe(false)
  expect(await takesRecovery(renewed!)).toBe(true)
})

test('recovery codes go with the last second factor', async () => {
  const { recoveryCodes } = await setUp()
  await removeTotp(app, userId)
  expect(await takesRecovery(recoveryCodes[0]!)).toBe(false)
  await expect(removeTotp(app, userId)).rejects.toMatchObject({ status: 404 })
  await expect(renewRecoveryCodes(app, userId)).rejects.toMatchObject({ status: 404 })
})

test('a required second factor cannot be removed, except by the operator', async () => {
  const { secret } = await setUp()
  const strict = { ...app, config: { ...app.config, second_factor: 'required' as const } }
  await expect(removeTotp(strict, userId)).rejects.toMatchObject({ status: 403 })
  app.clock.advance(STEP_MS)
  expect(await takes(codeOf(secret))).toBe(true)
  expect(await resetSecondFactors(strict, userId)).toBe(true)
  expect(await resetSecondFactors(strict, userId)).toBe(false)
  expect(await countSecondFactors(app.database, userId)).toEqual({ totp: false, passkeys: 0, recoveryCodes: 0 })
})

test('second factors that are off cannot be added', async () => {
  const closed = { ...app, config: { ...app.config, second_factor: 'off' as const } }
  await expect(beginTotp(closed, userId)).rejects.toMatchObject({ status: 403 })
  await beginTotp(app, userId)
  const { secret } = (await findPendingTotp(app, userId))!
  await expect(confirmTotp(closed, { userId, code: codeOf(secret) })).rejects.toMatchObject({ status: 403 })
})

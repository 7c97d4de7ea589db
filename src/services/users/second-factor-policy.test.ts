import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Config } from '../../config.ts'
import type { UserId } from '../../core/ids.ts'
import { confirmTotpSecret, storePendingTotpSecret } from '../../storage/sign-in/totp-secrets.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { findSecondFactorNeed, lacksSecondFactor, requireNoSecondFactor } from './second-factor-policy.ts'

const [ALICE, BOB] = ['@alice:hearth.test', '@bob:hearth.test'] as [UserId, UserId]
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: [ALICE, BOB], config: { public_base_url: 'https://hearth.test' } })
  await app.database.write(async (tx) => {
    await storePendingTotpSecret(tx, ALICE, 'SECRET')
    await confirmTotpSecret(tx, ALICE, 1)
    await storePendingTotpSecret(tx, BOB, 'SECRET')
  })
})
afterAll(() => app.close())

const under = (second_factor: Config['second_factor'], more: Partial<Config> = {}) => ({
  ...app,
  config: { ...app.config, second_factor, ...more },
})

test.each([
  ['off', 'none', 'none'],
  ['optional', 'none', 'none'],
  ['required_for_admins', 'none', 'set up'],
  ['required', 'set up', 'set up'],
] as const)('what the policy %s demands', async (policy, ofUser, ofAdmin) => {
  const needOf = (user_id: UserId, is_admin: boolean) =>
    findSecondFactorNeed(under(policy), app.database, { user_id, is_admin })
  expect([await needOf(BOB, false), await needOf(BOB, true)]).toEqual([ofUser, ofAdmin])
  expect([await needOf(ALICE, false), await needOf(ALICE, true)]).toEqual(['prove', 'prove'])
  const lacks = (userId: UserId, isAdmin: boolean) => lacksSecondFactor(under(policy), { userId, isAdmin })
  expect([await lacks(BOB, false), await lacks(BOB, true)]).toEqual([ofUser === 'set up', ofAdmin === 'set up'])
  expect([await lacks(ALICE, false), await lacks(ALICE, true)]).toEqual([false, false])
})

test('the refusal of a password names what the server has instead', async () => {
  const refusal = (given: Parameters<typeof requireNoSecondFactor>[0], user_id = ALICE) =>
    requireNoSecondFactor(given, app.database, { user_id, is_admin: false }).catch(({ message }) => message)
  expect(await refusal(app, BOB)).toBeUndefined()
  expect(await refusal(app)).toMatch(/has a second factor.* app password.*https:\/\/hearth\.test\/account\/tokens$/)
  expect(await refusal(under('required'), BOB)).toContain('https://hearth.test/account/second-factor')
  const personal_tokens = { ...app.config.personal_tokens, enabled: false }
  expect(await refusal(under('optional', { personal_tokens }))).toMatch(/opens the sign-in page of this server$/)
})

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { loadPersonalTokens } from '../../storage/users/personal-tokens.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createPersonalToken, PERSONAL_TOKEN_SCOPES, revokePersonalToken } from './personal-tokens.ts'
import { findSession } from './sessions.ts'

const USER = '@alice:hearth.test' as UserId
const DAY_MS = 24 * 60 * 60_000
const MOST = 3

let app: TestApp
beforeAll(async () => {
  const limits = { counts: { personal_tokens: MOST } }
  app = await createTestApp({ config: { limits, personal_tokens: { max_lifetime: '30d' } }, users: [USER] })
})
afterAll(() => app.close())

const create = (more: { lifetimeMs?: number; deviceId?: DeviceId } = {}, byOperator = false) =>
  createPersonalToken(app, { userId: USER, name: 'bot', scope: PERSONAL_TOKEN_SCOPES[0], ...more }, { byOperator })
const use = (accessToken: string) => findSession(app, { accessToken, ip: '192.0.2.1', userAgent: undefined })

test('the policy limits the lifetime, but not for the operator', async () => {
  const longest = await create()
  expect(longest.expires_ts).toBe(app.clock.now() + 30 * DAY_MS)
  await expect(create({ lifetimeMs: 31 * DAY_MS })).rejects.toThrow(/personal_tokens.max_lifetime/)
  const endless = await create({}, true)
  expect(endless.expires_ts).toBeNull()
  app.clock.advance(30 * DAY_MS)
  await expect(use(longest.access_token)).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
  expect(await use(endless.access_token)).toMatchObject({ userId: USER, deviceId: null, isAdmin: false })
  await revokePersonalToken(app, { tokenId: endless.token_id })
  await expect(use(endless.access_token)).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
  await revokePersonalToken(app, { tokenId: longest.token_id })
})

test('a user has a limited number, and expired ones go with time', async () => {
  for (let count = 0; count < MOST; count++) await create({ lifetimeMs: DAY_MS })
  await expect(create()).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
  app.clock.advance(2 * DAY_MS)
  await expect(create()).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
  app.clock.advance(31 * DAY_MS)
  const last = await create()
  expect(await loadPersonalTokens(app.database, USER)).toEqual([
    expect.objectContaining({ token_id: last.token_id, last_used_ts: 0 }),
  ])
})

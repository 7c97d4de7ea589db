import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ServerName, UserId } from '../../../core/ids.ts'
import { systemRandom } from '../../../infra/random.ts'
import type { Database } from '../../../storage/engine/database.ts'
import { insertUser } from '../../../storage/users/users.ts'
import { createTestDatabase } from '../../../testing/test-database.ts'
import { deactivateUser } from '../deactivate.ts'
import { findOpenIdUser, newOpenIdToken } from './openid-tokens.ts'

const alice = '@alice:hearth.test' as UserId
let now = 1_700_000_000_000
let database: Database
const app = () => ({
  database,
  random: systemRandom,
  serverName: 'hearth.test' as ServerName,
  clock: { now: () => now },
})

beforeAll(async () => {
  database = await createTestDatabase()
  const user = { user_id: alice, password_hash: null, is_admin: false, is_guest: false, created_ts: now }
  await database.write((tx) => insertUser(tx, user))
})
afterAll(() => database.close())

const unknown = { status: 401, errcode: 'M_UNKNOWN_TOKEN' }

test('a token tells others who got it, until it expires', async () => {
  const { access_token: token, expires_in: seconds } = await newOpenIdToken(app(), alice)
  expect(await findOpenIdUser(app(), token)).toBe(alice)
  now += seconds * 1000 - 1
  expect(await findOpenIdUser(app(), token)).toBe(alice)
  now += 1
  await expect(findOpenIdUser(app(), token)).rejects.toMatchObject(unknown)
})

test('a token that was never given out tells nothing', async () => {
  await expect(findOpenIdUser(app(), 'made-up')).rejects.toMatchObject(unknown)
})

test('the tokens of an account end with it', async () => {
  const { access_token: token } = await newOpenIdToken(app(), alice)
  await deactivateUser(app(), { userId: alice, erase: false })
  await expect(findOpenIdUser(app(), token)).rejects.toMatchObject(unknown)
})

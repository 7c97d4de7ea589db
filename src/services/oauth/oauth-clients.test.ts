import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from '../users/create-user.ts'
import { findClient, noteClientUse, registerOAuthClient } from './oauth-clients.ts'
import { openOAuthSession } from './open-oauth-session.ts'

const DAY_MS = 86_400_000
let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ config: { oauth: { unused_client_lifetime: '30d' } } })
})
afterAll(() => app.close())

let admitted = 0
const admitNew = async () => void admitted++
const register = (name: string) =>
  registerOAuthClient(
    app,
    { client_uri: 'https://a.org', client_name: name, redirect_uris: ['https://a.org/'] },
    admitNew,
  )
const isKnown = (clientId: string) =>
  findClient(app, clientId).then(
    () => true,
    () => false,
  )

test('only clients that are not registered yet count for the limit', async () => {
  admitted = 0
  const { clientId } = await register('counted')
  expect((await register('counted')).clientId).toBe(clientId)
  expect(admitted).toBe(1)
})

test('a client that the limit refuses is not stored', async () => {
  const refused = registerOAuthClient(
    app,
    { client_uri: 'https://b.org', redirect_uris: ['https://b.org/'] },
    async () => {
      throw new Error('too many')
    },
  )
  await expect(refused).rejects.toThrow('too many')
  const { rows } = await sql`select 1 from oauth_clients where metadata like '%b.org%'`.execute(app.database.sql)
  expect(rows).toEqual([])
})

test.each(['\0', 'a\0b'])('a name that no device can have is refused: %j', async (name) => {
  await expect(register(name)).rejects.toMatchObject({ code: 'invalid_client_metadata', status: 400 })
})

test('clients without a session expire, and those with one, or in use, do not', async () => {
  const unused = await register('unused')
  const used = await register('used')
  const withSession = await register('with a session')
  const userId = await createUser(app, { localpart: 'alice' })
  await app.database.write((tx) =>
    openOAuthSession(app, tx, {
      userId,
      clientId: withSession.clientId,
      scope: 'urn:matrix:client:api:*',
      deviceName: 'a',
      from: { ip: '192.0.2.1', userAgent: undefined },
    }),
  )
  app.clock.advance(29 * DAY_MS)
  await noteClientUse(app, used)
  app.clock.advance(2 * DAY_MS)
  await register('another')
  expect(await isKnown(unused.clientId)).toBe(false)
  expect(await isKnown(used.clientId)).toBe(true)
  expect(await isKnown(withSession.clientId)).toBe(true)
  // A client that registers again is the same one.
  expect((await register('unused')).clientId).toBe(unused.clientId)
})

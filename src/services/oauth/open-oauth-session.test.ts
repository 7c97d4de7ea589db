import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { updateLocked } from '../../storage/users/users.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from '../users/create-user.ts'
import { findSession } from '../users/sessions.ts'
import { registerOAuthClient } from './oauth-clients.ts'
import { openOAuthSession } from './open-oauth-session.ts'

const API = 'urn:matrix:client:api:*'
let app: TestApp
let userId: UserId
let clientId: string
beforeAll(async () => {
  app = await createTestApp({ config: { limits: { counts: { devices: 3 } } } })
  userId = await createUser(app, { localpart: 'alice' })
  const metadata = { client_uri: 'https://a.org', redirect_uris: ['https://a.org/'] }
  clientId = (await registerOAuthClient(app, metadata, async () => {})).clientId
})
afterAll(() => app.close())

const open = (scope: string) =>
  app.database.write((tx) =>
    openOAuthSession(app, tx, { userId, clientId, scope, deviceName: 'a client', from: undefined }),
  )
const works = (accessToken: string) =>
  findSession(app, { accessToken, ip: '192.0.2.1', userAgent: undefined }).then(
    () => true,
    () => false,
  )

test('beyond the limit, the oldest session without a device ends, and none with one', async () => {
  const withDevice = await open(`${API} urn:matrix:client:device:ABCDEFGHIJ`)
  const tokens: string[] = []
  for (let count = 0; count < 4; count++) tokens.push((await open(API)).access_token)
  expect(await Promise.all(tokens.map(works))).toEqual([false, true, true, true])
  expect(await works(withDevice.access_token)).toBe(true)
})

test('rights that the user does not have are left out, and no session is opened for nothing', async () => {
  expect((await open(`${API} urn:synapse:admin:*`)).scope).toBe(API)
  await expect(open('urn:synapse:admin:* urn:mas:admin')).rejects.toMatchObject({ code: 'invalid_scope' })
})

test('a locked user gets no session', async () => {
  await app.database.write((tx) => updateLocked(tx, userId, 1))
  await expect(open(API)).rejects.toMatchObject({ code: 'invalid_grant' })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { finishFirstStep } from '../sign-in/sign-in-steps.ts'
import { newCookie } from '../sign-in/web-sessions.ts'
import { createUser } from '../users/create-user.ts'
import { hashToken } from '../users/tokens.ts'
import { answerDeviceGrant, findPendingGrant, startDeviceGrant } from './device-grants.ts'
import { registerOAuthClient } from './oauth-clients.ts'
import { redeemDeviceGrant } from './redeem-device-grant.ts'

const SCOPE = 'urn:matrix:client:api:*'
const LIFETIME_MS = 15 * 60_000
const counts = { device_grants: 3, device_grants_of_network: 5, device_grants_in_all: 7 }
let app: TestApp
let clientId: string
let userId: UserId
let sessionId: string
beforeAll(async () => {
  app = await createTestApp({ config: { rate_limits: { enabled: true }, limits: { counts } } })
  userId = await createUser(app, { localpart: 'alice' })
  const browser = { cookie: newCookie(app), ip: '192.0.2.1', userAgent: undefined }
  sessionId = hashToken((await finishFirstStep(app, browser, { userId, by: 'registration' })).cookie)
  const metadata = { client_uri: 'https://tv.example', grant_types: ['urn:ietf:params:oauth:grant-type:device_code'] }
  clientId = (await registerOAuthClient(app, metadata, async () => {})).clientId
})
afterAll(() => app.close())

const from = (network: string, wideNetwork = network) => ({ ip: network, network, wideNetwork })
const start = (origin = from('192.0.2.1')) => startDeviceGrant(app, { clientId, scope: SCOPE, origin })
const redeem = (deviceCode: string) =>
  redeemDeviceGrant(app, { deviceCode, clientId, from: { ip: '192.0.2.1', userAgent: undefined } })
const approver = () => ({ userId, sessionId, authenticatedTs: 0, upstreamSessionNid: null, network: '198.51.100.1' })

test('a grant expires, and its device learns why', async () => {
  const { deviceCode, userCode, expiresInMs } = await start()
  expect(expiresInMs).toBe(LIFETIME_MS)
  app.clock.advance(LIFETIME_MS)
  await expect(redeem(deviceCode)).rejects.toMatchObject({ code: 'expired_token' })
  const late = { typed: userCode, approver: approver() }
  await expect(findPendingGrant(app, late)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  await expect(answerDeviceGrant(app, { ...late, isApproved: true })).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  app.clock.advance(LIFETIME_MS + 1)
  await start()
  await expect(redeem(deviceCode)).rejects.toMatchObject({ code: 'invalid_grant' })
})

test('an approval that comes in time is worth nothing after the grant has expired', async () => {
  const { deviceCode, userCode } = await start()
  await answerDeviceGrant(app, { typed: userCode, approver: approver(), isApproved: true })
  app.clock.advance(LIFETIME_MS)
  await expect(redeem(deviceCode)).rejects.toMatchObject({ code: 'expired_token' })
})

test('a device that polls too soon has to wait longer each time, up to a minute', async () => {
  const { deviceCode } = await start()
  const poll = (code: string) => expect(redeem(deviceCode)).rejects.toMatchObject({ code })
  await poll('authorization_pending')
  app.clock.advance(4000)
  await poll('authorization_pending')
  app.clock.advance(3000)
  await poll('slow_down')
  app.clock.advance(8000)
  await poll('slow_down')
  app.clock.advance(14_000)
  await poll('authorization_pending')
  for (let times = 0; times < 20; times++) await poll('slow_down')
  app.clock.advance(59_000)
  await poll('authorization_pending')
})

test('neither a network nor all of them can fill the server with waiting devices', async () => {
  app.clock.advance(3 * LIFETIME_MS)
  const refused = { code: 'temporarily_unavailable', status: 503 }
  for (let times = 0; times < 3; times++) await start(from('2001:db8:1:1', '2001:db8:1'))
  await expect(start(from('2001:db8:1:1', '2001:db8:1'))).rejects.toMatchObject(refused)
  for (const network of ['2001:db8:1:2', '2001:db8:1:3']) await start(from(network, '2001:db8:1'))
  await expect(start(from('2001:db8:1:4', '2001:db8:1'))).rejects.toMatchObject(refused)
  for (const network of ['203.0.113.1', '203.0.113.2']) await start(from(network))
  await expect(start(from('203.0.113.3'))).rejects.toMatchObject(refused)
  app.clock.advance(LIFETIME_MS)
  await start(from('203.0.113.3'))
})

describe('codes that are tried', () => {
  const attempt = (approver: { userId: UserId; network: string }) =>
    findPendingGrant(app, {
      typed: 'BCDF-GHJK',
      approver: { ...approver, sessionId, authenticatedTs: 0, upstreamSessionNid: null },
    })

  test.each<[string, (time: number) => Promise<{ userId: UserId; network: string }>]>([
    ['by a user from many networks', async (time) => ({ userId, network: `192.0.2.${time}` })],
    [
      'by many users from one network',
      async (time) => ({ userId: await createUser(app, { localpart: `guesser-${time}` }), network: '203.0.113.9' }),
    ],
  ])('%s are limited', async (_, next) => {
    for (let time = 0; time < 10; time++)
      await expect(attempt(await next(time))).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
    await expect(attempt(await next(10))).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    app.clock.advance(10_000)
    await expect(attempt(await next(11))).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
  })
})

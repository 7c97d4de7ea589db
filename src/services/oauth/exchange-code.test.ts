import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import {
  deleteUpstreamSessions,
  findUpstreamSessions,
  insertUpstreamSession,
} from '../../storage/sign-in/upstream-sessions.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { finishFirstStep } from '../sign-in/sign-in-steps.ts'
import { newCookie } from '../sign-in/web-sessions.ts'
import { createUser } from '../users/create-user.ts'
import { logOutEverywhere } from '../users/log-out.ts'
import { newSsoToken } from '../users/login-tokens.ts'
import { hashToken } from '../users/tokens.ts'
import { beginAuthorization, findAuthorization } from './authorization-requests.ts'
import { exchangeCode } from './exchange-code.ts'
import { issueCode } from './issue-code.ts'
import { registerOAuthClient } from './oauth-clients.ts'

const MINUTE_MS = 60_000
const REDIRECT = 'https://a.org/'
const VERIFIER = 'v'.repeat(43)
let app: TestApp
let userId: UserId
let clientId: string
let sessionId: string
beforeAll(async () => {
  app = await createTestApp()
  userId = await createUser(app, { localpart: 'alice' })
  sessionId = await signInBrowser()
  const metadata = { client_uri: 'https://a.org', redirect_uris: [REDIRECT] }
  clientId = (await registerOAuthClient(app, metadata, async () => {})).clientId
})
afterAll(() => app.close())

async function signInBrowser(): Promise<string> {
  const browser = { cookie: newCookie(app), ip: '192.0.2.1', userAgent: undefined }
  return hashToken((await finishFirstStep(app, browser, { userId, by: 'registration' })).cookie)
}

async function begin(deviceId: string) {
  const query = new URLSearchParams({
    client_id: clientId,
    redirect_uri: REDIRECT,
    response_type: 'code',
    scope: `urn:matrix:client:api:* urn:matrix:client:device:${deviceId}`,
    code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
    code_challenge_method: 'S256',
  })
  return (await beginAuthorization(app, query, true)).requestId
}

async function consent(requestId: string, upstreamSessionNid: number | null = null) {
  const session = { userId, sessionId, authenticatedTs: app.clock.now(), upstreamSessionNid }
  const location = await issueCode(app, await findAuthorization(app, requestId), session)
  return new URL(location).searchParams.get('code')!
}

const exchange = (code: string) =>
  exchangeCode(app, {
    clientId,
    code,
    redirectUri: REDIRECT,
    codeVerifier: VERIFIER,
    from: { ip: '192.0.2.1', userAgent: undefined },
  })

test('a request waits an hour for its user, and a code ten minutes for its client', async () => {
  const early = await begin('ABCDEFGHI1')
  app.clock.advance(59 * MINUTE_MS)
  const code = await consent(early)
  app.clock.advance(9 * MINUTE_MS)
  expect((await exchange(code)).userId).toBe(userId)
  const late = await begin('ABCDEFGHI2')
  const lateCode = await consent(late)
  app.clock.advance(10 * MINUTE_MS)
  await expect(exchange(lateCode)).rejects.toMatchObject({ code: 'invalid_grant' })
  const never = await begin('ABCDEFGHI3')
  app.clock.advance(60 * MINUTE_MS)
  await expect(findAuthorization(app, never)).rejects.toMatchObject({ errcode: 'M_SIGN_IN_ENDED' })
})

test('the device belongs to the session at the identity provider by which the user signed in', async () => {
  const named = { providerId: 'a provider', subject: 'a subject', sid: undefined }
  const signIn = () =>
    app.database.write((tx) =>
      insertUpstreamSession(tx, {
        provider_id: named.providerId,
        subject: named.subject,
        sid: null,
        user_id: userId,
        created_ts: app.clock.now(),
      }),
    )
  await exchange(await consent(await begin('ABCDEFGHI4'), await signIn()))
  const ended = await app.database.write((tx) => findUpstreamSessions(tx, named))
  expect(ended).toMatchObject([{ user_id: userId, device_id: 'ABCDEFGHI4' }])
  // The provider may end it before the client exchanges its code.
  const session = await signIn()
  const code = await consent(await begin('ABCDEFGHI5'), session)
  await app.database.write((tx) => deleteUpstreamSessions(tx, [session]))
  await expect(exchange(code)).rejects.toMatchObject({ code: 'invalid_grant' })
})

test('a consent that is under way when all sessions end is not stored', async () => {
  const requestId = await begin('ABCDEFGHI9')
  await logOutEverywhere(app, { userId })
  await expect(consent(requestId)).rejects.toMatchObject({ errcode: 'M_SIGN_IN_ENDED' })
  const late = newSsoToken(app, { userId, sessionId, upstreamSessionNid: null })
  await expect(late).rejects.toMatchObject({ errcode: 'M_SIGN_IN_ENDED' })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { insertUpstreamRequest, storeUpstreamIdentity } from '../../storage/sign-in/upstream-requests.ts'
import { loadPersonalTokens } from '../../storage/users/personal-tokens.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { finishFirstStep } from '../sign-in/sign-in-steps.ts'
import { listLinkedProviders } from '../sign-in/upstream-links.ts'
import { findUnlinkedPerson, linkToUser } from '../sign-in/upstream-sign-in.ts'
import { newCookie } from '../sign-in/web-sessions.ts'
import { createUser } from './create-user.ts'
import { deactivateUser } from './deactivate.ts'
import { logInWithPassword } from './log-in.ts'
import { logOut, logOutEverywhere } from './log-out.ts'
import { newLoginToken } from './login-tokens.ts'
import { createPersonalToken, PERSONAL_TOKEN_SCOPES } from './personal-tokens.ts'
import { findSession } from './sessions.ts'
import { hashToken } from './tokens.ts'

const password = 'correct horse'
const from = { ip: '192.0.2.1', userAgent: undefined }
let app: TestApp
let made = 0
beforeAll(async () => {
  const cas = { kind: 'cas', id: 'campus', name: 'Campus', server_url: 'https://cas.example.org' } as const
  app = await createTestApp({ config: { identity_providers: [cas] } })
})
afterAll(() => app.close())

async function clientOf(user: string) {
  const device = { wantsRefreshToken: false }
  const { access_token: accessToken } = await logInWithPassword(app, { identifier: { user }, password, device })
  return findSession(app, { accessToken, ...from })
}

async function browserOf(userId: UserId) {
  const step = await finishFirstStep(app, { cookie: newCookie(app), ...from }, { userId, by: 'registration' })
  return { cookie: step.cookie, ...from }
}

async function newUser() {
  const localpart = `user${++made}`
  return { localpart, userId: await createUser(app, { localpart, password }) }
}

describe('a request that came before the end of its session', () => {
  const create = (by: Awaited<ReturnType<typeof clientOf>>) =>
    createPersonalToken(app, { userId: by.userId, name: 'bot', scope: PERSONAL_TOKEN_SCOPES[0], by })

  test.each<[string, (session: Awaited<ReturnType<typeof clientOf>>) => Promise<unknown>]>([
    ['creates no personal token', create],
    ['gets no login token', (session) => newLoginToken(app, session)],
    ['gets no login token of no device', (session) => newLoginToken(app, { ...session, deviceId: null })],
  ])('%s', async (_, attempt) => {
    const { localpart, userId } = await newUser()
    const session = await clientOf(localpart)
    await attempt(session)
    await logOutEverywhere(app, { userId })
    const ended = { status: 401, errcode: 'M_UNKNOWN_TOKEN' }
    await expect(attempt(session)).rejects.toMatchObject(ended)
    const another = await clientOf(localpart)
    await logOut(app, another)
    await expect(attempt(another)).rejects.toMatchObject(ended)
    expect(await loadPersonalTokens(app.database, userId)).toEqual([])
  })

  test('creates no personal token for a browser', async () => {
    const { userId } = await newUser()
    const { cookie } = await browserOf(userId)
    const by = { userId, sessionId: hashToken(cookie) }
    const attempt = () => createPersonalToken(app, { userId, name: 'bot', scope: PERSONAL_TOKEN_SCOPES[0], by })
    await attempt()
    await logOutEverywhere(app, { userId })
    await expect(attempt()).rejects.toMatchObject({ errcode: 'M_SIGN_IN_ENDED' })
    expect(await loadPersonalTokens(app.database, userId)).toEqual([])
  })

  test.each<[string, (userId: UserId) => Promise<unknown>]>([
    ['signed out', (userId) => logOutEverywhere(app, { userId })],
    ['deactivated', (userId) => deactivateUser(app, { userId, erase: true })],
  ])('links no account of a provider to a user who is %s', async (_, end) => {
    const { userId } = await newUser()
    const browser = await browserOf(userId)
    const provider = app.identityProviders.get('campus')!
    const begin = async (subject: string) => {
      const state = `${subject} of ${userId}`
      await insertWaiting(state, browser)
      const unlinked = await findUnlinkedPerson(app, browser, { provider, state })
      if (typeof unlinked === 'string') throw new Error(unlinked)
      return { provider, unlinked, userId }
    }
    await linkToUser(app, await begin('first'))
    const late = await begin('second')
    await end(userId)
    await expect(linkToUser(app, late)).rejects.toMatchObject({ errcode: 'M_SIGN_IN_ENDED' })
    expect(await listLinkedProviders(app, userId)).toMatchObject([{ subject: `first of ${userId}` }])
  })
})

/** Stores a sign-in at the provider that has named a person. */
async function insertWaiting(state: string, { cookie }: { cookie: string }) {
  const now = app.clock.now()
  const request = {
    state_hash: hashToken(state),
    provider_id: 'campus',
    browser_hash: hashToken(cookie),
    nonce: 'n',
    code_verifier: 'v',
    continue_path: null,
    link_to: null,
    again_since_ts: null,
    expires_ts: now + 60_000,
  }
  await app.database.write(async (tx) => {
    await insertUpstreamRequest(tx, request, now)
    await storeUpstreamIdentity(tx, request.state_hash, JSON.stringify({ subject: state, label: state }))
  })
}

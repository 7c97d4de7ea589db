import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { clientIn, type OAuthPage, type OAuthWorld, openClient, startOAuthWorld } from '../harness/oauth-page.ts'
import { allow, allowDevice, refuse, registerOnPage, signInOnPage } from '../harness/sign-in-pages.ts'

/** matrix-js-sdk's own OAuth functions in Chromium, as Element Web uses them, on another origin than Hearth. */
const v3 = '/_matrix/client/v3'
const PASSWORD = 'correct horse battery'
const MODES = ['query', 'fragment'] as const

/** Short, so that a client has to refresh within this test; and longer than a test needs a token. */
const LIFETIME = '15s'

let world: OAuthWorld

/** What Chromium blocked, in all tabs. */
const blocked: string[] = []
async function newProfile(): Promise<BrowserContext> {
  const profile = await world.newProfile()
  profile.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) blocked.push(message.text())
  })
  return profile
}

const whoami = (token: string) => ask(world.hearth.url, { method: 'GET', path: `${v3}/account/whoami`, token })

/** Leaves the client for the pages of the server. Returns the tab. */
async function leave(page: OAuthPage, options: Record<string, unknown>): Promise<Page> {
  await page.run('signIn', { baseUrl: world.serverUrl, ...options })
  await page.tab.waitForURL((url) => url.href.startsWith(world.serverUrl))
  return page.tab
}

/** Returns the client's page to which the server has sent the browser back. */
async function comeBack(tab: Page): Promise<OAuthPage> {
  await tab.waitForURL((url) => url.href.startsWith(world.clientUrl))
  return clientIn(tab)
}

type Tokens = { access_token: string; deviceId: string; scope: string }

/** Signs a user in through the pages, in a new browser profile. */
async function signIn(user: TestUser, responseMode: (typeof MODES)[number] = 'query') {
  const profile = await newProfile()
  const tab = await leave(await openClient(world, profile), { responseMode })
  await signInOnPage(tab, { user: user.userId, password: PASSWORD })
  await allow(tab)
  const page = await comeBack(tab)
  const tokens: Tokens = await page.run('finishSignIn', responseMode)
  return { profile, page, tokens }
}

/** Returns the public identity of a user. */
async function masterKeyOf(user: TestUser): Promise<string> {
  const { master_keys } = await user.post(`${v3}/keys/query`, { device_keys: { [user.userId]: [] } })
  return Object.keys(master_keys[user.userId].keys)[0]!
}

// The basic flows; all others run on three processes, to save time.
describe('one process', () => {
  beforeAll(async () => {
    world = await startOAuthWorld()
  })
  afterAll(() => world?.dispose())

  testSignIn()
})

describe('three processes', () => {
  let waiting: { user: TestUser; page: OAuthPage; tokens: Tokens }
  beforeAll(async () => {
    world = await startOAuthWorld({ processes: 3, config: { sessions: { access_token_lifetime: LIFETIME } } })
    const user = await registerUser(world.hearth.url)
    waiting = { user, ...(await signIn(user)) }
    await waiting.page.run('start')
  })
  afterAll(() => world?.dispose())

  testSignIn()

  describe('device grant', () => {
    /** A device without a browser, and the tab in which its user approves it. */
    async function startGrant() {
      const device = await openClient(world, await newProfile())
      await device.run('register', world.serverUrl)
      const { session, deviceId } = await device.run('askForDevice')
      const waiting = device.run('waitForDevice', session)
      return { device, session, deviceId, waiting }
    }

    test('a user types the code of a device, and it is signed in', async () => {
      const user = await registerUser(world.hearth.url)
      const { device, session, deviceId, waiting } = await startGrant()
      expect(session.user_code).toMatch(/^[B-Z]{4}-[B-Z]{4}$/)
      const tab = await (await newProfile()).newPage()
      await tab.goto(session.verification_uri)
      await signInOnPage(tab, { user: user.userId, password: PASSWORD })
      await tab.getByLabel('Code').fill(session.user_code.toLowerCase().replace('-', ' '))
      await tab.getByRole('button', { name: 'Continue' }).click()
      await tab.getByText('Page of the tests').waitFor()
      // A client's URL proves nothing here.
      expect(await tab.content()).not.toContain('client.test')
      await allowDevice(tab, session.user_code)
      const tokens = await waiting
      expect((await whoami(tokens.access_token)).body).toMatchObject({ user_id: user.userId, device_id: deviceId })
      expect(await device.run('start')).toEqual({ userId: user.userId, deviceId })
      await device.run('refresh')
      await device.run('stop')
      await device.run('revoke')
    })

    test('a user refuses a device, and it learns that', async () => {
      const user = await registerUser(world.hearth.url)
      const { session, waiting } = await startGrant()
      const tab = await (await newProfile()).newPage()
      await tab.goto(session.verification_uri_complete)
      await signInOnPage(tab, { user: user.userId, password: PASSWORD })
      await tab.getByRole('button', { name: 'Refuse' }).click()
      await tab.getByRole('heading', { name: 'The device is refused' }).waitFor()
      expect(await waiting).toMatchObject({ error: 'access_denied' })
    })
  })

  test('a device that is signed in shows a QR code, and the device that scans it reads old encrypted messages', async () => {
    const user = await registerUser(world.hearth.url)
    const { page: old, profile } = await signIn(user)
    await old.run('start', { crypto: true })
    expect(await old.run('setUpCrossSigning')).toBe(true)
    const message = await old.run('say', 'from before the new device')
    await pollUntil('the message keys are backed up', async () => (await user.get(`${v3}/room_keys/version`)).count > 0)

    const fresh = await openClient(world, await newProfile())
    await fresh.run('register', world.serverUrl)
    const code = await old.run('showCode')
    expect(await fresh.run('scanCode', code)).toBe(world.hearth.serverName)
    await Promise.all([fresh.run('negotiate'), old.run('negotiate')])
    expect(await fresh.run('checkCode')).toBe(await old.run('checkCode'))
    // As matrix-rust-sdk names new devices: by their keys.
    const deviceId = `${'+/'.repeat(21)}A`
    const { userCode } = await fresh.run('askByCode', deviceId)
    const { verificationUri } = await old.run('receiveGrant')
    const [shared, signedIn] = [old.run('shareSecrets'), fresh.run('finishByCode')]

    // The old device opens the page in the browser where its user is signed in.
    const tab = await profile.newPage()
    await tab.goto(verificationUri)
    await allowDevice(tab, userCode)
    await signedIn
    expect(await fresh.run('start', { crypto: true })).toEqual({ userId: user.userId, deviceId })
    expect(await fresh.run('takeSecrets')).toBeGreaterThan(0)
    expect(await shared).toBe(true)

    expect(await pollUntil('the new device reads the message', () => fresh.run('read', message))).toBe(
      'from before the new device',
    )
    await pollUntil('the old device trusts the new one', () => old.run('isVerified', deviceId))
    expect([await old.run('failures'), await fresh.run('failures')]).toEqual([[], []])
    await Promise.all([old.run('stop'), fresh.run('stop')])
  })

  test('a user permits the reset of cross-signing on the account page, and only then it succeeds', async () => {
    const user = await registerUser(world.hearth.url)
    const { page, profile } = await signIn(user)
    await page.run('start', { crypto: true })
    expect(await page.run('setUpCrossSigning')).toBe(true)
    const before = await masterKeyOf(user)
    const demanded = await page.run('tryReset')
    expect(demanded.flows).toEqual(
      expect.arrayContaining([{ stages: ['m.oauth'] }, { stages: ['org.matrix.cross_signing_reset'] }]),
    )
    await expect(page.run('finishReset')).rejects.toThrow()
    const tab = await profile.newPage()
    await tab.goto(demanded.params['m.oauth'].url)
    await tab.getByRole('button', { name: 'Allow the reset' }).click()
    await tab.getByRole('heading', { name: 'The reset is allowed' }).waitFor()
    expect(await page.run('finishReset')).toBe(true)
    expect(await masterKeyOf(user)).not.toBe(before)
    await page.run('stop')
  })

  test('a newcomer creates an account on the way to the client', async () => {
    const profile = await newProfile()
    const tab = await leave(await openClient(world, profile), { responseMode: 'fragment', prompt: 'create' })
    const name = uniqueName('newcomer')
    await registerOnPage(tab, { user: name, password: PASSWORD })
    await allow(tab)
    const page = await comeBack(tab)
    const tokens = await page.run('finishSignIn', 'fragment')
    expect((await whoami(tokens.access_token)).body).toMatchObject({ user_id: `@${name}:${world.hearth.serverName}` })
    await profile.close()
  })

  test('a running client refreshes its expired token by itself', async () => {
    const { user, page, tokens } = waiting
    const expired = await pollUntil('the token has expired', async () => {
      const answer = await whoami(tokens.access_token)
      return answer.status === 401 && answer
    })
    expect(expired.body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true })
    expect(await page.run('whoami')).toMatchObject({ user_id: user.userId, device_id: tokens.deviceId })
    expect((await page.run('tokens')).access_token).not.toBe(tokens.access_token)
    await page.run('stop')
  })

  test('no page of the server was blocked from leading back to the client', () => {
    expect(blocked).toEqual([])
  })
})

function testSignIn(): void {
  describe.each(MODES)('response mode %s', (responseMode) => {
    test('a user signs in, the tokens are refreshed, and revoked', async () => {
      const user = await registerUser(world.hearth.url)
      const { page, tokens, profile } = await signIn(user, responseMode)
      const { query, fragment } = await page.run('answer')
      const [used, unused] = responseMode === 'query' ? [query, fragment] : [fragment, query]
      expect(used).toMatchObject({ code: expect.any(String), state: expect.any(String) })
      expect(unused).toEqual({})
      expect(tokens.scope.split(' ').sort()).toEqual([
        'urn:matrix:client:api:*',
        `urn:matrix:client:device:${tokens.deviceId}`,
      ])
      expect(await page.run('start')).toEqual({ userId: user.userId, deviceId: tokens.deviceId })

      const refreshed = await page.run('refresh')
      expect(refreshed.access_token).not.toBe(tokens.access_token)
      expect((await whoami(refreshed.access_token)).body).toMatchObject({
        user_id: user.userId,
        device_id: tokens.deviceId,
      })
      // The successor has been used.
      expect((await whoami(tokens.access_token)).body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true })

      await page.run('signOut')
      expect(await whoami(refreshed.access_token)).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
      const devices = (await user.get(`${v3}/devices`)).devices as { device_id: string }[]
      expect(devices.map(({ device_id }) => device_id)).toEqual([user.deviceId])
      await profile.close()
    })

    test('a user cancels, and the client learns it', async () => {
      const user = await registerUser(world.hearth.url)
      const profile = await newProfile()
      const tab = await leave(await openClient(world, profile), { responseMode })
      await signInOnPage(tab, { user: user.userId, password: PASSWORD })
      await refuse(tab)
      const { [responseMode]: answer } = await (await comeBack(tab)).run('answer')
      expect(answer).toMatchObject({ error: 'access_denied', state: expect.any(String) })
      await profile.close()
    })

    test('a client that may not ask the user learns that nobody is signed in', async () => {
      const profile = await newProfile()
      const page = await openClient(world, profile)
      await page.run('signIn', { baseUrl: world.serverUrl, responseMode, prompt: 'none' })
      await page.tab.waitForURL((url) => url.href.includes('error='))
      const { [responseMode]: answer } = await (await clientIn(page.tab)).run('answer')
      expect(answer).toMatchObject({ error: 'login_required' })
      await profile.close()
    })
  })
}

import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { ask, registerUser, type TestUser } from '../harness/client.ts'
import { decide, registerDeviceClient, startDevice } from '../harness/device-grant.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import {
  authorization,
  exchange,
  type OAuthTestClient,
  obtainCode,
  openConsent,
  refreshOAuth,
  registerClient,
  replyOf,
  signInByOAuth,
} from '../harness/oauth-client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'
import { setUpTotp } from '../harness/second-factor.ts'

/** Milliseconds from a request to kill -9: before, while and after the server works on it. */
const DELAYS = [0, 8]

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

describe.each(['pglite', 'postgresql'])('on %s', (database) => {
  let hearth: TestHearth
  let alice: TestUser
  let client: OAuthTestClient
  beforeAll(async () => {
    hearth = await startHearth(database === 'postgresql' ? { databaseUrl: await postgres.createDatabase() } : {})
    alice = await registerUser(hearth.url)
    client = await registerClient(hearth.url)
  })
  afterAll(() => hearth.dispose())

  const crash = async () => {
    await hearth.kill('SIGKILL')
    await hearth.restart()
  }
  const statusOf = async (token: string) =>
    (await ask(hearth.url, { method: 'GET', path: '/_matrix/client/v3/account/whoami', token })).status

  /** Sends a request and kills the server after some milliseconds; undefined if there was no answer. */
  async function sendAndCrash<Received>(send: () => Promise<Received>, delay: number): Promise<Received | undefined> {
    const answer = send().catch(() => undefined)
    await wait(delay)
    await hearth.kill('SIGKILL')
    const received = await answer
    await hearth.restart()
    return received
  }

  test('kill -9 between any two steps of a sign-in: it goes on', async () => {
    const visitor = newVisitor(hearth.url)
    const attempt = authorization(await registerClient(hearth.url))
    await crash()
    const login = await visitor.open(attempt.path)
    expect(login.url.pathname).toBe('/login')
    await crash()
    const consent = await visitor.submit(login, { user: alice.userId, password: 'correct horse battery' })
    await crash()
    const code = replyOf(await visitor.submit(consent, {}, { do: 'allow' })).get('code')!
    await crash()
    const { body: first } = await exchange(hearth.url, attempt, code)
    await crash()
    const { body: second } = await refreshOAuth(hearth.url, attempt.client, first.refresh_token)
    await crash()
    expect(await statusOf(first.access_token)).toBe(200)
    expect(await statusOf(second.access_token)).toBe(200)
    await crash()
    expect(await statusOf(first.access_token)).toBe(401)
    expect((await exchange(hearth.url, attempt, code)).body.error).toBe('invalid_grant')
    await crash()
    expect(await statusOf(second.access_token)).toBe(401)
    // The browser is still signed in.
    const again = authorization(attempt.client)
    expect((await openConsent(visitor, alice, again)).url.pathname).toMatch(/^\/consent\//)
  })

  test.each(DELAYS)('kill -9 %d ms after a refresh: a repetition returns the same tokens', async (delay) => {
    const { refresh_token: token } = await signInByOAuth(hearth.url, alice, { client })
    const lost = await sendAndCrash(() => refreshOAuth(hearth.url, client, token), delay)
    const { status, body } = await refreshOAuth(hearth.url, client, token)
    expect(status).toBe(200)
    if (lost) expect(body).toEqual(lost.body)
    expect(await statusOf(body.access_token)).toBe(200)
    expect((await refreshOAuth(hearth.url, client, body.refresh_token)).status).toBe(200)
  })

  test.each(DELAYS)('kill -9 %d ms after the exchange of a code: it opens one session at most', async (delay) => {
    const attempt = authorization(client)
    const code = await obtainCode(hearth.url, alice, attempt)
    const first = await sendAndCrash(() => exchange(hearth.url, attempt, code), delay)
    const second = await exchange(hearth.url, attempt, code)
    const opened = [first, second].filter((answer) => answer?.status === 200)
    expect(opened.length).toBeLessThanOrEqual(1)
    if (second.status !== 200) expect([second.status, second.body.error]).toEqual([400, 'invalid_grant'])
    // In any case, the user can sign in.
    expect(await statusOf((await signInByOAuth(hearth.url, alice, { client })).access_token)).toBe(200)
  })

  test.each(DELAYS)(
    'kill -9 %d ms after a second factor: it is good once at most, and the next one signs in',
    async (delay) => {
      const user = await registerUser(hearth.url)
      const settings = newVisitor(hearth.url)
      await signIn(settings, user)
      const [code, next] = (await setUpTotp(settings)).recoveryCodes as [string, string]
      const visitor = newVisitor(hearth.url)
      const step = await signIn(visitor, user)
      await crash()
      const answers = [await sendAndCrash(() => visitor.submit(step, { code }, { do: 'recovery' }), delay)]
      for (const given of [code, code, next]) {
        const other = newVisitor(hearth.url)
        answers.push(await other.submit(await signIn(other, user), { code: given }, { do: 'recovery' }))
      }
      const statuses = answers.map((answer) => answer?.status)
      expect(statuses.slice(0, 3).filter((status) => status === 200).length).toBeLessThanOrEqual(1)
      expect(statuses.slice(2)).toEqual([403, 200])
    },
  )

  test('kill -9 between any two steps of a device grant: it goes on', async () => {
    const visitor = newVisitor(hearth.url)
    await signIn(visitor, alice)
    const device = await startDevice(hearth.url, await registerDeviceClient(hearth.url))
    await crash()
    expect((await device.poll()).body.error).toBe('authorization_pending')
    await crash()
    const page = await visitor.open(`/device?user_code=${device.user_code}`)
    await crash()
    expect((await visitor.submit(page, {}, { do: 'approve' })).status).toBe(200)
    await crash()
    const { body: tokens } = await device.poll()
    await crash()
    expect(await statusOf(tokens.access_token)).toBe(200)
    expect((await device.poll()).body.error).toBe('invalid_grant')
  })

  test.each(DELAYS)(
    'kill -9 %d ms after the poll of an approved device: it is signed in once at most',
    async (delay) => {
      const visitor = newVisitor(hearth.url)
      await signIn(visitor, alice)
      const deviceClient = await registerDeviceClient(hearth.url)
      const device = await startDevice(hearth.url, deviceClient)
      await decide(visitor, device, 'approve')
      const first = await sendAndCrash(() => device.poll(), delay)
      const second = await device.poll()
      const opened = [first, second].filter((answer) => answer?.status === 200)
      expect(opened.length).toBeLessThanOrEqual(1)
      for (const { body } of opened.map((answer) => answer!)) expect(await statusOf(body.access_token)).toBe(200)
      if (second.status !== 200) expect([second.status, second.body.error]).toEqual([400, 'invalid_grant'])
      // In any case a device can be signed in afterwards.
      const other = await startDevice(hearth.url, deviceClient)
      await decide(visitor, other, 'approve')
      expect((await other.poll()).status).toBe(200)
    },
  )
})

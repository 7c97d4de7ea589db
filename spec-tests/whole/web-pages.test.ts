import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, type TestUser, uniqueName } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { type MailServer, startMailServer } from '../harness/mail-server.ts'

/** The authentication pages for clients without these stages, in a real browser. */
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'
const TERMS = { version: '1.2', en: { name: 'Terms of service', url: 'https://example.org/terms-1.2-en.html' } }

let hearth: TestHearth
let mails: MailServer
let browser: Browser
beforeAll(async () => {
  mails = await startMailServer()
  const registration = {
    enabled: true,
    terms: [
      { id: 'terms_of_service', version: '1.2', ...TERMS.en },
      { id: 'terms_of_service', version: '1.2', name: 'AGB', url: 'https://example.org/de', language: 'de' },
    ],
  }
  const email = { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false }
  ;[hearth, browser] = await Promise.all([
    startHearth({ config: { registration, email } }),
    chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] }),
  ])
})
afterAll(async () => {
  await browser?.close()
  await hearth?.dispose()
  await mails?.stop()
})

const post = (path: string, body: unknown, token?: string) =>
  ask(hearth.url, { method: 'POST', path: v3 + path, body, ...(token !== undefined && { token }) })

async function register(more: object = {}): Promise<TestUser> {
  const body = { username: uniqueName(), password, ...more }
  const { session } = (await post('/register', body)).body
  return asUser(hearth.url, (await post('/register', { ...body, auth: { type: 'm.login.terms', session } })).body)
}

/** Opens the page of a stage, like an app in an embedded browser. */
async function openStage(type: string, session: string): Promise<Page> {
  const page = await browser.newPage()
  await page.addInitScript('globalThis.onAuthDone = () => { globalThis.isDone = true }')
  await page.goto(`${hearth.url}${v3}/auth/${type}/fallback/web?session=${encodeURIComponent(session)}`)
  return page
}

// By the browser's own protocol: the pages forbid evaluation.
const untilDone = (page: Page) => pollUntil('the page is done', () => page.evaluate('globalThis.isDone === true'))

async function linkMailedTo(address: string): Promise<string> {
  const mail = await pollUntil('a mail arrives', () => mails.to(address)[0])
  mails.received.splice(mails.received.indexOf(mail), 1)
  return /http:\/\/\S+/.exec(mail.text!)![0]
}

/** https://spec.matrix.org/v1.19/client-server-api/#fallback */
describe('fallback pages', () => {
  test('have terms accepted at registration', async () => {
    const body = { username: uniqueName(), password }
    const first = (await post('/register', body)).body
    expect(first.flows).toEqual([
      { stages: ['m.login.terms'] },
      { stages: ['m.login.terms', 'm.login.email.identity'] },
    ])
    const policy = { ...TERMS, de: { name: 'AGB', url: 'https://example.org/de' } }
    expect(first.params).toEqual({ 'm.login.terms': { policies: { terms_of_service: policy } } })
    const { session } = first
    expect((await post('/register', { ...body, auth: { session } })).status).toBe(401)

    const page = await openStage('m.login.terms', session)
    expect(await page.getByRole('link', { name: 'Terms of service' }).getAttribute('href')).toBe(TERMS.en.url)
    await page.getByRole('button', { name: 'I accept' }).click()
    await untilDone(page)
    const answer = await post('/register', { ...body, auth: { session } })
    expect(answer.status).toBe(200)
    const user = asUser(hearth.url, answer.body)
    const path = `${v3}/user/${encodeURIComponent(user.userId)}/account_data/m.accepted_terms`
    expect((await user.get(path)).accepted).toContain(TERMS.en.url)
  })

  test('ask for a password, again if it is wrong', async () => {
    const user = await register()
    const { session } = (await user.ask('POST', `${v3}/account/deactivate`, {})).body
    const page = await openStage('m.login.password', session)
    await page.getByLabel('Your password').fill('wrong')
    await page.getByRole('button').click()
    await page.getByRole('alert').getByText('Invalid password').waitFor()
    await page.getByLabel('Your password').fill(password)
    await page.getByRole('button').click()
    await untilDone(page)
    expect((await user.ask('POST', `${v3}/account/deactivate`, { auth: { session } })).status).toBe(200)
  })

  test('prove an address, for who has forgotten the password', async () => {
    const address = `${uniqueName()}@example.org`
    const creds = { client_secret: 'secret', sid: '' }
    const asked = { email: address, client_secret: creds.client_secret, send_attempt: 1 }
    creds.sid = (await post('/register/email/requestToken', asked)).body.sid
    const body = { username: uniqueName(), password }
    const { session } = (await post('/register', body)).body
    await post('/register', { ...body, auth: { type: 'm.login.terms', session } }).then(({ status }) =>
      expect(status).toBe(200),
    )
    const other = { username: uniqueName(), password }
    const second = (await post('/register', other)).body.session
    const prove = { type: 'm.login.email.identity', session: second, threepid_creds: creds }
    expect((await post('/register', { ...other, auth: prove })).body.errcode).toBe('M_UNAUTHORIZED')
    await fetch(await linkMailedTo(address), { method: 'POST' })
    expect((await post('/register', { ...other, auth: prove })).body.completed).toEqual(['m.login.email.identity'])
    const user = asUser(
      hearth.url,
      (await post('/register', { ...other, auth: { type: 'm.login.terms', session: second } })).body,
    )
    expect((await user.get(`${v3}/account/3pid`)).threepids).toMatchObject([{ medium: 'email', address }])

    const forgotten = { new_password: 'another horse battery' }
    const reset = (await post('/account/password', forgotten)).body.session
    const page = await openStage('m.login.email.identity', reset)
    await page.getByLabel('Your e-mail address').fill(address.toUpperCase())
    await page.getByRole('button', { name: 'Send me a link' }).click()
    const followed = page.getByRole('button', { name: 'I have opened the link' })
    await followed.click()
    await page.getByRole('alert').getByText('has not been confirmed').waitFor()
    await fetch(await linkMailedTo(address), { method: 'POST' })
    await followed.click()
    await untilDone(page)
    expect((await post('/account/password', { ...forgotten, auth: { session: reset } })).status).toBe(200)
    expect((await user.ask('GET', `${v3}/account/whoami`)).body.errcode).toBe('M_UNKNOWN_TOKEN')
    const identifier = { type: 'm.id.thirdparty', medium: 'email', address }
    const logIn = (given: string) => post('/login', { type: 'm.login.password', identifier, password: given })
    expect((await logIn(password)).body.errcode).toBe('M_FORBIDDEN')
    expect((await logIn('another horse battery')).body.user_id).toBe(user.userId)
  })

  test.each([
    ['m.login.password', 'nonsense', 400],
    ['m.login.pigeon', 'nonsense', 404],
    ['__proto__', 'nonsense', 404],
  ])('%s with the session %s shows what is wrong', async (type, session, status) => {
    const answer = await fetch(`${hearth.url}${v3}/auth/${type}/fallback/web?session=${session}`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8'])
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#login-fallback */
test('the login page signs in and hands the answer over', async () => {
  const user = await register()
  const page = await browser.newPage()
  await page.addInitScript('globalThis.matrixLogin = { onLogin: (answer) => { globalThis.answer = answer } }')
  await page.goto(`${hearth.url}/_matrix/static/client/login/?device_id=MYDEVICE&initial_device_display_name=Old+phone`)
  await page.getByLabel('User name').fill(user.userId)
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button').click()
  await page.getByRole('alert').getByText('Invalid user name or password').waitFor()
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button').click()
  type LoginAnswer = { user_id: string; device_id: string; access_token: string }
  const answer = await pollUntil('the answer is handed over', () => page.evaluate<LoginAnswer>('globalThis.answer'))
  expect(answer).toMatchObject({ user_id: user.userId, device_id: 'MYDEVICE' })
  const { devices } = await asUser(hearth.url, answer).get(`${v3}/devices`)
  expect(devices.map(({ display_name }: { display_name?: string }) => display_name)).toContain('Old phone')
})

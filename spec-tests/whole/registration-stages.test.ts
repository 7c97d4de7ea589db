import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { type CaptchaServer, startCaptchaServer } from '../harness/captcha-server.ts'
import { ask, uniqueName } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { faultsOf } from '../harness/page-faults.ts'

/** Stages of a registration that other services check. */
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'

describe.each([
  ['recaptcha', 'm.login.recaptcha', 'g-recaptcha-response'],
  ['hcaptcha', 'hearth.captcha', 'h-captcha-response'],
  ['turnstile', 'hearth.captcha', 'cf-turnstile-response'],
])('a captcha of %s', (provider, stage, field) => {
  let captcha: CaptchaServer
  let hearth: TestHearth
  let browser: Browser
  beforeAll(async () => {
    captcha = await startCaptchaServer(field)
    const keys = { site_key: 'the-site-key', secret_key: captcha.secret }
    const urls = { script_url: captcha.scriptUrl, verify_url: captcha.verifyUrl }
    const registration = { enabled: true, captcha: { provider, ...keys, ...urls } }
    ;[hearth, browser] = await Promise.all([
      startHearth({ config: { registration } }),
      chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] }),
    ])
  })
  afterAll(async () => {
    await browser?.close()
    await hearth?.dispose()
    await captcha?.stop()
  })

  const register = (body: object) => ask(hearth.url, { method: 'POST', path: `${v3}/register`, body })

  async function begin(): Promise<{ body: object; session: string }> {
    const body = { username: uniqueName(), password }
    const first = (await register(body)).body
    expect(first.flows).toEqual([{ stages: [stage] }])
    expect(first.params).toMatchObject({ [stage]: { public_key: 'the-site-key' } })
    return { body, session: first.session }
  }

  test('is solved once for each account', async () => {
    const { body, session } = await begin()
    const response = captcha.solve()
    for (const [auth, errcode] of [
      [{ type: stage, session }, 'M_CAPTCHA_NEEDED'],
      [{ type: stage, session, response: 'wrong' }, 'M_CAPTCHA_INVALID'],
      [{ type: stage, session, response: 'x'.repeat(100_000) }, 'M_CAPTCHA_INVALID'],
      [{ type: stage, session, response: { a: 1 } }, 'M_CAPTCHA_NEEDED'],
      [{ type: 'm.login.dummy', session }, 'M_UNRECOGNIZED'],
    ] as const) {
      const answer = await register({ ...body, auth })
      expect([answer.status, answer.body.errcode, answer.body.session]).toEqual([401, errcode, session])
    }
    const before = captcha.checks.length
    expect((await register({ ...body, auth: { type: stage, session, response } })).status).toBe(200)
    expect(captcha.checks.slice(before).map((form) => Object.fromEntries(form))).toEqual([
      { secret: captcha.secret, response },
    ])
    const second = await begin()
    const again = await register({ ...second.body, auth: { type: stage, session: second.session, response } })
    expect([again.status, again.body.errcode]).toEqual([401, 'M_CAPTCHA_INVALID'])
  })

  test.each(['not at all', 'with nonsense', 'with a redirect'] as const)(
    'cannot be passed while the provider answers %s, and the same session goes on afterwards',
    async (how) => {
      const { body, session } = await begin()
      const auth = { type: stage, session, response: captcha.solve() }
      captcha.behave(how)
      const answer = await register({ ...body, auth }).finally(() => captcha.behave('honestly'))
      expect([answer.status, answer.body.errcode]).toEqual([503, 'hearth.captcha_unavailable'])
      expect((await register({ ...body, auth })).status).toBe(200)
    },
  )

  test('is solved on the page of its stage, whose policy lets the provider in', async () => {
    const { body, session } = await begin()
    const page = await browser.newPage()
    const refused: string[] = []
    page.on(
      'console',
      (message) => void (/Content Security Policy/.test(message.text()) && refused.push(message.text())),
    )
    await page.addInitScript('globalThis.onAuthDone = () => { globalThis.isDone = true }')
    await page.goto(`${hearth.url}${v3}/auth/${stage}/fallback/web?session=${session}`)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('alert').getByText('Solve the captcha').waitFor()
    expect(await faultsOf(page, { language: 'en', scripts: true })).toEqual([])
    await page.getByRole('button', { name: 'I am human' }).click()
    await page.getByRole('button', { name: 'Continue' }).click()
    await pollUntil('the page is done', () => page.evaluate('globalThis.isDone === true'))
    expect(refused).toEqual([])
    expect((await register({ ...body, auth: { session } })).status).toBe(200)
    await page.close()
  })
})

test('a captcha whose secret key is wrong is the fault of the server', async () => {
  const captcha = await startCaptchaServer('cf-turnstile-response')
  const keys = { site_key: 'the-site-key', secret_key: 'another', verify_url: captcha.verifyUrl }
  const hearth = await startHearth({
    config: { registration: { enabled: true, captcha: { provider: 'turnstile', ...keys } } },
  })
  try {
    const auth = { type: 'hearth.captcha', response: captcha.solve() }
    const body = { username: uniqueName(), password, auth }
    const answer = await ask(hearth.url, { method: 'POST', path: `${v3}/register`, body })
    expect([answer.status, answer.body.errcode]).toEqual([503, 'hearth.captcha_unavailable'])
    expect(hearth.output()).toContain('check registration.captcha')
  } finally {
    await hearth.dispose()
    await captcha.stop()
  }
})

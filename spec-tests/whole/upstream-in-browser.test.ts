import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerUser, uniqueName } from '../harness/client.ts'
import { startUpstreamWorld, type UpstreamWorld } from '../harness/upstream-world.ts'

/**
 * The way to an identity provider and to a client of another site in Chromium, which enforces the
 * Content-Security-Policy of forms over redirects, and SameSite of cookies.
 */
let world: UpstreamWorld
let client: Server
let browser: Browser
let clientPort: number
beforeAll(async () => {
  client = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<h1>The client</h1>'))
  await new Promise<void>((resolve) => client.listen(0, resolve))
  clientPort = (client.address() as AddressInfo).port
  const config = { sign_in: { trusted_clients: [`http://127.0.0.1:${clientPort}`] } }
  // For a browser, localhost and 127.0.0.1 are two sites.
  world = await startUpstreamWorld({ company: {} }, { config, host: 'localhost' })
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
})
afterAll(async () => {
  await browser?.close()
  await world?.dispose()
  client?.close()
})

const sso = (host: string) => {
  const redirectUrl = encodeURIComponent(`http://${host}:${clientPort}/app?keep=1#/start`)
  return `${world.url}/_matrix/client/v3/login/sso/redirect?redirectUrl=${redirectUrl}`
}

async function signInAtProvider(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Sign in with The company provider' }).click()
  await page.waitForURL(`${world.provider.issuer}/**`)
  await page.locator('[name=sub]').fill(name)
  await page.locator('[name=claims]').fill(JSON.stringify({ preferred_username: name }))
  await page.locator('button').click()
}

async function expectClient(page: Page, host: string): Promise<void> {
  await page.waitForURL((url) => url.port === String(clientPort))
  const { hostname, search, hash } = new URL(page.url())
  expect([hostname, hash]).toEqual([host, '#/start'])
  expect(search).toMatch(/^\?keep=1&loginToken=hearth_login_[A-Za-z0-9]+$/)
}

describe.each([true, false])('with JavaScript %s', (javaScriptEnabled) => {
  async function inBrowser(use: (page: Page, context: BrowserContext) => Promise<void>): Promise<void> {
    const context = await browser.newContext({ javaScriptEnabled })
    try {
      await use(await context.newPage(), context)
    } finally {
      await context.close()
    }
  }

  test('a person comes from a client over the provider back to the client', () =>
    inBrowser(async (page) => {
      const name = uniqueName()
      await page.goto(sso('localhost'))
      await signInAtProvider(page, name)
      await page.getByText(`localhost:${clientPort} wants to sign in as @${name}:hearth.test.`).waitFor()
      await page.getByRole('button', { name: 'Continue to' }).click()
      await expectClient(page, 'localhost')
    }))

  test('the form of the sign-in page leads to a trusted client, although it does not know it', () =>
    inBrowser(async (page) => {
      const user = await registerUser(world.url)
      await page.goto(sso('127.0.0.1'))
      await page.locator('[name=user]').fill(user.userId)
      await page.locator('[name=password]').fill('correct horse battery')
      await page.getByRole('button', { name: 'Sign in', exact: true }).click()
      await expectClient(page, '127.0.0.1')
    }))

  test('a person who has signed out comes back over the provider', () =>
    inBrowser(async (page, context) => {
      const name = uniqueName()
      await page.goto(`${world.url}/account/providers`)
      await signInAtProvider(page, name)
      await page.getByRole('heading', { name: 'Linked accounts' }).waitFor()
      const other = await context.newPage()
      await other.goto(`${world.url}/logout`)
      await other.getByRole('button', { name: 'Sign out of this browser' }).click()
      await other.getByText('You are signed out').waitFor()
      await page.getByRole('link', { name: 'hearth.test', exact: true }).click()
      // The provider still knows the person.
      await page.getByRole('button', { name: 'Sign in with The company provider' }).click()
      await page.getByText(`@${name}:hearth.test`).first().waitFor()
    }))
})

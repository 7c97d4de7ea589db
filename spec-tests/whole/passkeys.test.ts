import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { FACTORS_PATH } from '../harness/second-factor.ts'

/** Passkeys in Chromium, with its virtual authenticator. */
const password = 'correct horse battery'

let hearth: TestHearth
let origin: string
let browser: Browser
let user: TestUser
beforeAll(async () => {
  ;[hearth, browser] = await Promise.all([
    startHearth({ publicHost: 'localhost' }),
    chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] }),
  ])
  origin = `http://localhost:${new URL(hearth.url).port}`
})
afterAll(async () => {
  await browser?.close()
  await hearth?.dispose()
})
beforeEach(async () => {
  user = await registerUser(hearth.url)
})

/** The abilities of an authenticator. */
type Authenticator = {
  transport: 'internal' | 'usb'
  hasResidentKey: boolean
  hasUserVerification: boolean
  isUserVerified: boolean
}
const PHONE: Authenticator = {
  transport: 'internal',
  hasResidentKey: true,
  hasUserVerification: true,
  isUserVerified: true,
}
const SECURITY_KEY: Authenticator = {
  transport: 'usb',
  hasResidentKey: false,
  hasUserVerification: false,
  isUserVerified: false,
}

type Tab = { page: Page; protocol: CDPSession; authenticatorId: string; policyFaults: string[] }

/**
 * Opens a tab with an authenticator, in a browser without cookies. `offers`: whether the browser offers passkeys at the
 * user name; the simulated user then accepts at once.
 */
async function openTab(abilities: Authenticator, { offers = false } = {}): Promise<Tab> {
  const page = await (await browser.newContext()).newPage()
  if (!offers) await page.addInitScript('delete PublicKeyCredential.isConditionalMediationAvailable')
  const policyFaults: string[] = []
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) policyFaults.push(message.text())
  })
  const protocol = await page.context().newCDPSession(page)
  await protocol.send('WebAuthn.enable')
  const { authenticatorId } = await protocol.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', automaticPresenceSimulation: true, ...abilities },
  })
  return { page, protocol, authenticatorId, policyFaults }
}

async function enterPassword({ page }: Tab, path: string): Promise<void> {
  await page.goto(`${origin}/login?continue=${encodeURIComponent(path)}`)
  await page.getByLabel('User name').fill(user.userId)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** Signs in and adds the tab's passkey. */
async function addPasskey(tab: Tab, name: string): Promise<void> {
  await enterPassword(tab, FACTORS_PATH)
  await tab.page.getByLabel('Name of a new passkey').fill(name)
  await tab.page.getByRole('button', { name: 'Add a passkey' }).click()
  await tab.page.getByRole('heading', { name: 'Recovery codes' }).waitFor()
  expect(await tab.page.locator('.codes code').count()).toBe(10)
  await tab.page.getByRole('button', { name: 'I have kept them' }).click()
  await tab.page.getByText(name, { exact: true }).waitFor()
}

async function signOut({ page }: Tab): Promise<void> {
  await page.goto(`${origin}/logout`)
  await page.getByRole('button').click()
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
}

describe('a passkey with verification of its user', () => {
  test('is added, signs in alone, is the second factor after the password, and is removed', async () => {
    const tab = await openTab(PHONE)
    const { page } = tab
    await addPasskey(tab, 'Phone')
    await signOut(tab)

    await page.goto(`${origin}/login?continue=%2Faccount%2Fdevices%3Fpage%3D0`)
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    await page.waitForURL(`${origin}/account/devices?page=0`)
    await page.getByText(user.userId).first().waitFor()
    await signOut(tab)

    await enterPassword(tab, FACTORS_PATH)
    await page.getByRole('heading', { name: 'Second factor' }).waitFor()
    expect(new URL(page.url()).pathname).toBe('/login/second-factor')
    await page.getByRole('button', { name: 'Use a passkey' }).click()
    await page.waitForURL(origin + FACTORS_PATH)
    await page.getByText('Last used on').waitFor()

    await page.getByText('Rename or remove').click()
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('Your account has no second factor.').waitFor()
    await signOut(tab)
    await enterPassword(tab, '/account')
    await page.waitForURL(`${origin}/account`)
    expect(tab.policyFaults).toEqual([])
    await page.context().close()
  })

  test('is offered by the browser at the user name', async () => {
    const tab = await openTab(PHONE, { offers: true })
    const { page } = tab
    await addPasskey(tab, 'Phone')
    await signOut(tab)
    await page.goto(`${origin}/login`)
    await page.waitForURL(`${origin}/account`)
    await page.getByText(user.userId).first().waitFor()
    expect(tab.policyFaults).toEqual([])
    await page.context().close()
  })

  test('is not offered again to the device that has it', async () => {
    const tab = await openTab(PHONE)
    await addPasskey(tab, 'Phone')
    await tab.page.getByRole('button', { name: 'Add a passkey' }).click()
    await tab.page.getByRole('alert').getByText('The browser did not give a passkey.').waitFor()
    await tab.page.context().close()
  })
})

test('a security key that cannot verify its user is a second factor', async () => {
  const tab = await openTab(SECURITY_KEY)
  const { page } = tab
  await addPasskey(tab, 'Key')
  await signOut(tab)
  await enterPassword(tab, '/account')
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.waitForURL(`${origin}/account`)
  await page.context().close()
})

test('a user without the passkey can try again, or use a recovery code', async () => {
  const tab = await openTab(PHONE)
  const { page, protocol, authenticatorId } = tab
  await enterPassword(tab, FACTORS_PATH)
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await page.getByRole('heading', { name: 'Recovery codes' }).waitFor()
  const code = (await page.locator('.codes code').first().textContent())!
  await signOut(tab)
  await enterPassword(tab, '/account')
  await protocol.send('WebAuthn.clearCredentials', { authenticatorId })
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.getByRole('alert').getByText('The browser did not give a passkey.').waitFor()
  expect(await page.getByRole('button', { name: 'Use a passkey' }).isEnabled()).toBe(true)
  await page.getByLabel('Recovery code').fill(code)
  await page.getByRole('button', { name: 'Continue' }).last().click()
  await page.waitForURL(`${origin}/account`)
  await page.context().close()
})

test('without scripts, the pages say that passkeys need them, and offer the other ways', async () => {
  const adding = await openTab(PHONE)
  await addPasskey(adding, 'Phone')
  await adding.page.context().close()
  const context = await browser.newContext({ javaScriptEnabled: false })
  const tab = { page: await context.newPage() } as Tab
  await enterPassword(tab, '/account')
  await tab.page.getByText('Passkeys need a browser that supports them').waitFor()
  expect(await tab.page.getByRole('button', { name: 'Use a passkey' }).count()).toBe(0)
  await tab.page.getByLabel('Recovery code').waitFor()
  await context.close()
})

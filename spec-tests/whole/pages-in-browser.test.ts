import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { type MailServer, startMailServer } from '../harness/mail-server.ts'
import { faultsOf } from '../harness/page-faults.ts'
import { ACCOUNT_PAGES } from '../harness/page-states/account.ts'
import { PAGES_FOR_CLIENTS } from '../harness/page-states/for-clients.ts'
import { OAUTH_PAGES } from '../harness/page-states/oauth.ts'
import { createTab, type PageStates, type PageTab } from '../harness/page-states/page-state.ts'
import { REGISTRATION_PAGES } from '../harness/page-states/registration.ts'
import { SECOND_FACTOR_PAGES } from '../harness/page-states/second-factors.ts'
import { SIGN_IN_PAGES } from '../harness/page-states/sign-in.ts'
import { UPSTREAM_PAGES } from '../harness/page-states/upstream.ts'

/**
 * Every page in each of its states, in Chromium: on a phone and on a desktop, with and without scripts; one of these in
 * English and light, the other in Chinese and dark. With `SCREENSHOTS=folder`, a screenshot of each is stored there.
 */
const ALL: readonly PageStates[] = [
  ...SIGN_IN_PAGES,
  ...REGISTRATION_PAGES,
  ...OAUTH_PAGES,
  ...PAGES_FOR_CLIENTS,
  ...ACCOUNT_PAGES,
  ...SECOND_FACTOR_PAGES,
  ...UPSTREAM_PAGES,
]

type View = BrowserContextOptions & { name: string; window: WindowName; language: string }
const WINDOWS = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
}
type WindowName = keyof typeof WINDOWS

/** With `ALL_WINDOWS=1` each view is checked in both windows: the page is opened once, and its window resized. */
const VIEWS: readonly View[] = [
  {
    name: 'plain',
    window: 'phone',
    javaScriptEnabled: false,
    locale: 'zh-CN',
    language: 'zh-Hans',
    colorScheme: 'dark',
  },
  { name: 'scripts', window: 'desktop', javaScriptEnabled: true, locale: 'en', language: 'en' },
]
const windowsOf = (own: WindowName): WindowName[] => (process.env.ALL_WINDOWS ? ['desktop', 'phone'] : [own])

const folder = process.env.SCREENSHOTS
let browser: Browser
let mails: MailServer
beforeAll(async () => {
  if (folder !== undefined) mkdirSync(folder, { recursive: true })
  mails = await startMailServer()
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
})
afterAll(async () => {
  await browser?.close()
  await mails?.stop()
})

/** Pages of one configuration share a server. */
const BY_CONFIG = [...Map.groupBy(ALL, ({ config = {} }) => JSON.stringify(config))].map(([config, pages]) => ({
  config: JSON.parse(config) as Record<string, unknown>,
  states: pages.flatMap(({ states }) => states),
  name: config,
}))

describe.each(BY_CONFIG)('pages of the configuration $name', ({ config, states }) => {
  let hearth: TestHearth
  beforeAll(async () => {
    const email = { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false }
    hearth = await startHearth({ config: { email, ...config } })
  })
  afterAll(() => hearth?.dispose())

  describe.each(VIEWS)('$name', ({ name: view, window, language, ...options }) => {
    let tab: PageTab
    let complaints: string[]
    beforeAll(async () => {
      // Without transitions, in the middle of which no colour would be the right one.
      const context = await browser.newContext({ ...options, viewport: WINDOWS[window], reducedMotion: 'reduce' })
      tab = await createTab(context, { hearth, mails })
      // Among them what the Content-Security-Policy has blocked.
      tab.page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
      })
    })
    afterAll(() => tab?.page.context().close())
    // A tab of its own for each page would take two thirds of the time.
    beforeEach(async () => {
      await tab.page.context().clearCookies()
      complaints = []
    })

    test.each(states)('$name', async ({ name, open }) => {
      await open(tab)
      const isAnswer = (text: string) => /Failed to load resource: the server responded with a status of 4/.test(text)
      expect(complaints.filter((text) => !isAnswer(text))).toEqual([])
      const scripts = options.javaScriptEnabled === true
      for (const size of windowsOf(window)) {
        await tab.page.setViewportSize(WINDOWS[size])
        if (folder !== undefined) {
          const path = join(folder, `${name.replace(/[^a-z0-9]+/gi, '-')}.${size}-${view}.png`)
          await tab.page.screenshot({ path, fullPage: true })
        }
        expect(await faultsOf(tab.page, { language, scripts }), size).toEqual([])
      }
    })
  })
})

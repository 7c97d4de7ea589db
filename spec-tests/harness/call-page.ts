import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { rolldown } from 'rolldown'
import type { TestUser } from './client.ts'
import { serveFiles, type WebSite } from './web-site.ts'

/** A page in Chromium that makes calls with matrix-js-sdk; see `spec-tests/clients/call-page.js`. */
export type CallPage = {
  /** Calls a function of the page, and returns its result. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  run(action: string, ...values: unknown[]): Promise<any>
  /** Returns the page's events, in order. */
  seen(): Promise<{ state?: string; error?: string; at: number }[]>
}

/** A browser with fake cameras and microphones. */
export type CallBrowser = {
  /** Opens a page that is logged in as a user and synced; media use only the TURN servers. */
  open(user: TestUser): Promise<CallPage>
  close(): Promise<void>
}

const CHROMIUM = '/usr/bin/chromium'
const CLIENT = join(import.meta.dirname, '..', 'clients', 'call-page.js')

/** Starts Debian's Chromium headless. Throws if it is not installed. */
export async function startCallBrowser(): Promise<CallBrowser> {
  if (!existsSync(CHROMIUM))
    throw new Error('The tests need Debian’s package chromium: bash spec-tests/setup/install.sh')
  const site = await serveClient()
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      // The TURN server is on this machine.
      '--allow-loopback-in-peer-connection',
    ],
  })
  return {
    open: (user) => openPage(browser, site.url, user),
    async close() {
      await browser.close()
      await site.close()
    },
  }
}

async function openPage(browser: Browser, url: string, user: TestUser): Promise<CallPage> {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] })
  const tab = await context.newPage()
  await tab.goto(url)
  await tab.waitForFunction('globalThis.page !== undefined')
  const page: CallPage = {
    run: (action, ...values) =>
      tab.evaluate(`globalThis.page[${JSON.stringify(action)}](...${JSON.stringify(values)})`),
    seen: () => tab.evaluate('globalThis.page.seen'),
  }
  const { userId, deviceId, accessToken } = user
  await page.run('start', { baseUrl: user.url, userId, deviceId, accessToken })
  return page
}

/** Serves the page and its scripts, bundled for the browser, on a local port. */
async function serveClient(): Promise<WebSite> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-call-page-'))
  const bundle = await rolldown({ input: CLIENT, platform: 'browser', logLevel: 'silent' })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: 'page.js' })
  const site = await serveFiles({
    texts: { '/index.html': '<!doctype html><script type="module" src="/page.js"></script>' },
    folders: { '/': folder },
  })
  return {
    url: site.url,
    async close() {
      await site.close()
      await rm(folder, { recursive: true })
    },
  }
}

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AdminWorld, adminPaths, createAdminWorld } from '../harness/admin-world.ts'
import { faultsOf } from '../harness/page-faults.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'

/** The pages for administrators. With `SCREENSHOTS=folder`, a screenshot of each is stored there. */
let world: AdminWorld
beforeAll(async () => {
  world = await createAdminWorld()
})
afterAll(() => world?.dispose())

type View = BrowserContextOptions & { name: string; language: string }
const VIEWS: readonly View[] = [
  {
    name: 'phone, plain, dark',
    viewport: { width: 320, height: 640 },
    ...{ javaScriptEnabled: false, locale: 'zh-CN', language: 'zh-Hans', colorScheme: 'dark' },
  },
  {
    name: 'desktop',
    viewport: { width: 1280, height: 800 },
    ...{ javaScriptEnabled: true, locale: 'en', language: 'en', colorScheme: 'light' },
  },
]
const folder = process.env.SCREENSHOTS

describe('in Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    if (folder !== undefined) mkdirSync(folder, { recursive: true })
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  })
  afterAll(() => browser?.close())

  test.each(VIEWS)('every page is accessible: $name', async ({ name, language, ...options }) => {
    const visitor = newVisitor(world.hearth.url)
    await signIn(visitor, world.admin)
    const context = await browser.newContext({ ...options, reducedMotion: 'reduce' })
    await context.addCookies([...visitor.cookies].map(([key, value]) => ({ name: key, value, url: world.hearth.url })))
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(`${page.url()}: ${message.text()}`)
    })
    const faults: string[] = []
    for (const [title, path] of Object.entries(adminPaths(world))) {
      const answer = await page.goto(world.hearth.url + path)
      if (folder !== undefined) {
        const file = `${title}.${name}`.replace(/[^a-z0-9.]+/gi, '-')
        await page.screenshot({ path: join(folder, `${file}.png`), fullPage: true })
      }
      if (answer?.status() !== 200) faults.push(`${path}: ${answer?.status()}`)
      const found = await faultsOf(page, { language, scripts: options.javaScriptEnabled === true })
      faults.push(...found.map((fault) => `${path}: ${fault}`))
    }
    expect([...faults, ...complaints]).toEqual([])
    await context.close()
  })
})

import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import sharp from 'sharp'
import { registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth } from '../harness/hearth.ts'
import { createRoom, eventPath, joinRoom, roomPath, v3 } from '../harness/rooms.ts'
import { signInOnPage } from '../harness/sign-in-pages.ts'

/**
 * Second part of `npm run screenshots`: pages for administrators in Debian's Chromium at the width of a desktop and of a
 * phone, of a Hearth with some users and the invented figures of a day. They go to docs/screenshots.
 */
const ROOT = join(import.meta.dirname, '..', '..')
const PICTURES = join(ROOT, 'docs', 'screenshots')
const PASSWORD = 'correct horse battery'
const PATIENCE_MS = 60_000
const NAMES = [
  'Anna',
  'Ben',
  'Clara',
  'Deniz',
  'Emma',
  'Farid',
  'Greta',
  'Hugo',
  'Ines',
  'Jakub',
  'Kofi',
  'Lena',
  'Mei',
]
const VIEWS = [
  { suffix: '', width: 1200, height: 720 },
  { suffix: '-phone', width: 390, height: 760 },
] as const
const PAGES = [
  { name: 'admin-load', path: '/admin/load?view=load&range=day', shows: '.chart canvas' },
  { name: 'admin-users', path: '/admin/users', shows: 'table' },
] as const

const hearth = await startHearth({ serverName: 'example.org', beforeStart: writeFigures })
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  await mkdir(PICTURES, { recursive: true })
  const admin = await registerAdmin(hearth.url, undefined, 'nora')
  await fill(admin)
  for (const view of VIEWS) await takePages(browser, view)
} finally {
  await browser.close()
  await hearth.dispose()
}

async function writeFigures(configFile: string): Promise<void> {
  const program = join(ROOT, 'src', 'testing', 'make-figures.ts')
  execFileSync(process.execPath, [program, join(dirname(configFile), 'data')], { stdio: 'inherit' })
}

/** Users in different states, a room and a report. */
async function fill(admin: TestUser): Promise<void> {
  const users: TestUser[] = []
  for (const displayname of NAMES) {
    const user = await registerUser(hearth.url, displayname.toLowerCase())
    await user.put(`${v3}/profile/${encodeURIComponent(user.userId)}/displayname`, { displayname })
    users.push(user)
  }
  const [anna, ben, clara, deniz] = users as [TestUser, TestUser, TestUser, TestUser]
  const room = await createRoom(anna, { name: 'Allotment committee' })
  await joinRoom(room, ben, clara)
  const event = await sendText(ben, room, 'Cheap watches!')
  await anna.post(roomPath(room, eventPath('report', event)), { reason: 'Advertisement' })
  await admin.put(`/_synapse/admin/v1/suspend/${encodeURIComponent(ben.userId)}`, { suspend: true })
  await admin.put(`/_synapse/admin/v2/users/${encodeURIComponent(deniz.userId)}`, { locked: true })
}

async function takePages(chrome: Browser, { suffix, width, height }: (typeof VIEWS)[number]): Promise<void> {
  const context = await chrome.newContext({
    viewport: { width, height },
    deviceScaleFactor: 1,
    reducedMotion: 'reduce',
  })
  const tab = await context.newPage()
  tab.setDefaultTimeout(PATIENCE_MS)
  await tab.goto(`${hearth.url}/admin`)
  await signInOnPage(tab, { user: 'nora', password: PASSWORD })
  await tab.waitForURL(/\/admin$/)
  for (const { name, path, shows } of PAGES) {
    await tab.goto(hearth.url + path)
    await tab.locator(shows).first().waitFor()
    // A palette halves the size.
    const picture = sharp(await tab.screenshot()).png({ palette: true, effort: 10 })
    await picture.toFile(join(PICTURES, `${name}${suffix}.png`))
  }
  await context.close()
}

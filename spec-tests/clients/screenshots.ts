import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startHearth } from '../harness/hearth.ts'
import { createRoom, joinRoom, relating, sendEvent, sendState } from '../harness/rooms.ts'
import { serveFiles, type WebSite } from '../harness/web-site.ts'

/**
 * `npm run screenshots`: two users of a fresh Hearth log in with Hydrogen, a web client, in Debian's Chromium, and send
 * messages; the screenshots go to docs/screenshots. Fails if a message does not appear.
 */
const ROOT = join(import.meta.dirname, '..', '..')
const PICTURES = join(ROOT, 'docs', 'screenshots')
const PASSWORD = 'correct horse battery'
const PATIENCE_MS = 60_000

const hearth = await startHearth({ serverName: 'example.org' })
const folder = await mkdtemp(join(tmpdir(), 'hearth-hydrogen-'))
const site = await serveHydrogen(hearth.url, folder)
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  await mkdir(PICTURES, { recursive: true })
  const [anna, ben] = await Promise.all([makeUser('anna', 'Anna'), makeUser('ben', 'Ben')])
  await talk(anna, ben)
  const annas = await signIn(browser, site, 'anna')
  await takeConversation(annas)
  await takeEncrypted({ annas, bens: await signIn(browser, site, 'ben'), anna, ben })
} finally {
  await browser.close()
  await site.close()
  await hearth.dispose()
  await rm(folder, { recursive: true })
}

async function serveHydrogen(homeserver: string, target: string): Promise<WebSite> {
  const bundle = await rolldown({
    input: join(import.meta.dirname, 'hydrogen-page.js'),
    platform: 'browser',
    logLevel: 'silent',
  })
  await bundle.write({ dir: target, format: 'esm', entryFileNames: 'page.js' })
  const packages = join(ROOT, 'node_modules')
  return serveFiles({
    texts: {
      '/index.html': `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <link rel="stylesheet" href="/assets/theme-element-light.css"><body class="hydrogen">
        <script type="module" src="/page.js"></script>`,
      '/config.json': JSON.stringify({ defaultHomeServer: homeserver }),
    },
    folders: {
      '/assets/': join(packages, 'hydrogen-view-sdk', 'asset-build', 'assets'),
      '/sw.js': join(packages, 'hydrogen-view-sdk', 'lib-build', 'sw.js'),
      '/olm/': join(packages, '@matrix-org', 'olm'),
      '/': target,
    },
  })
}

async function makeUser(name: string, displayname: string): Promise<TestUser> {
  const user = await registerUser(hearth.url, name)
  await user.put(`/_matrix/client/v3/profile/${encodeURIComponent(user.userId)}/displayname`, { displayname })
  return user
}

/** Fills a room with events that a client shows in different ways. */
async function talk(anna: TestUser, ben: TestUser): Promise<void> {
  for (const name of ['Reading group', 'Garden']) await joinRoom(await createRoom(anna, { name }), ben)
  const room = await createRoom(anna, { name: 'Allotment committee', topic: 'Plots, water and the summer party' })
  await joinRoom(room, ben)
  const say = (user: TestUser, body: string, more: object = {}) =>
    sendEvent(user, room, { msgtype: 'm.text', body, ...more })
  await say(anna, 'The water is on again. Please close the taps in the evening.')
  const question = await say(ben, 'Great! Who brings what to the summer party on Saturday?')
  await sendEvent(anna, room, relating('m.annotation', question, { key: 'Yes, please' }), 'm.reaction')
  await say(anna, 'Potato salad and two tables. We still need a grill.')
  await say(ben, 'I have one, and my neighbour lends us her benches.')
  await sendState(anna, room, { type: 'm.room.topic', content: { topic: 'Summer party on Saturday, from three' } })
  await say(ben, 'See you there!')
}

async function signIn(chrome: Browser, { url }: WebSite, name: string): Promise<Page> {
  const context = await chrome.newContext({ viewport: { width: 1200, height: 720 }, deviceScaleFactor: 1 })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  page.on('pageerror', (error) => console.error(error))
  await page.goto(url)
  await page.locator('#username').fill(name)
  await page.locator('#password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Log In', exact: true }).click()
  await page.getByText('Allotment committee').first().waitFor()
  return page
}

async function takeConversation(page: Page): Promise<void> {
  await page.getByText('Allotment committee').first().click()
  await page.getByText('See you there!').last().waitFor()
  await page.screenshot({ path: join(PICTURES, 'conversation.png') })
}

/** Each user writes in their own browser; both see messages that the other has encrypted. */
async function takeEncrypted(people: { annas: Page; bens: Page; anna: TestUser; ben: TestUser }): Promise<void> {
  const { annas, bens, anna, ben } = people
  const room = await createRoom(anna, {
    name: 'Anna and Ben',
    preset: 'private_chat',
    is_direct: true,
    invite: [ben.userId],
    initial_state: [{ type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
  })
  await joinRoom(room, ben)
  for (const page of [annas, bens]) await page.getByText('Anna and Ben').first().click()
  const lines = [
    [annas, bens, 'Is the surprise for Clara still a secret?'],
    [bens, annas, 'Yes. Only the two of us can read this.'],
  ] as const
  for (const [writer, reader, text] of lines) {
    await writer.locator('.MessageComposer_input textarea').fill(text)
    await writer.keyboard.press('Enter')
    await reader.locator('.Timeline').getByText(text).waitFor()
  }
  await annas.screenshot({ path: join(PICTURES, 'encrypted.png') })
}

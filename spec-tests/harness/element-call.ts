import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BrowserContext, type BrowserServer, chromium, type Frame, type Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { pollUntil } from '../../testing/poll-until.ts'
import type { TestUser } from './client.ts'
import { serveFiles, type WebSite } from './web-site.ts'

/** A user with Element Call, in a browser process of their own; see `spec-tests/clients/element-call-host.js`. */
export type Caller = {
  user: TestUser
  page: Page
  /** Opens Element Call in a room, and joins the call. */
  join(roomId: string, options: JoinOptions): Promise<void>
  /** Returns the names on the tiles, with the own one. */
  tiles(): Promise<string[]>
  /** Returns the users in a call, as matrix-js-sdk has them. */
  members(roomId: string): Promise<string[]>
  /** Returns what has come from the others, by the names on their tiles. */
  received(): Promise<Record<string, Received>>
  /** Returns the requests that were refused for being too many. */
  limited(): string[]
  /** Returns the last lines of the browser's console. */
  log(): string
  /** Leaves by Element Call's button. */
  hangUp(): Promise<void>
  closeTab(): Promise<void>
  /** Ends the browser with SIGKILL: nothing says goodbye. */
  kill(): Promise<void>
}

/** Decoded pictures and energy of the sound. Neither grows while the keys of a participant are missing. */
export type Received = { framesDecoded: number; audioEnergy: number }

/** How Element Call announces memberships: by state events, or by sticky events. */
export type RtcMode = 'compatibility' | 'matrix_2_0'

/** `delegates`: whether the delayed leave event is handed over to the server, or restarted by Element Call. */
export type JoinOptions = { mode: RtcMode; delegates: boolean }

const CHROMIUM = '/usr/bin/chromium'
const CLIENT = join(import.meta.dirname, '..', 'clients', 'element-call-host.js')
const LOG_LINES = 100
const WATCH_CONNECTIONS = join(import.meta.dirname, '..', 'clients', 'watch-connections.js')
const ELEMENT_CALL = fileURLToPath(import.meta.resolve('@element-hq/element-call-embedded/dist/index.html'))

const HOST_PAGE = `<!doctype html><title>Host</title><script type="module" src="/page.js"></script>
  <style>iframe { position: fixed; inset: 0; width: 100%; height: 100%; border: 0 }</style>`

/** Small and slow pictures, for three browsers share a machine. */
const CONFIG = {
  media_quality: { video: { max_resolution: 180, max_framerate: 5, max_bitrate: 60_000, simulcast_layers: [] } },
  matrix_rtc_session: { wait_for_key_rotation_ms: 1000, delayed_leave: { delay_ms: 8000, restart_ms: 3000 } },
}

/** Serves Element Call and its host on a local port. */
export async function serveElementCall(): Promise<WebSite> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-element-call-'))
  const bundle = await rolldown({ input: CLIENT, platform: 'browser', logLevel: 'silent' })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: 'page.js', codeSplitting: false })
  const wasm = dirname(fileURLToPath(import.meta.resolve('@matrix-org/matrix-sdk-crypto-wasm')))
  const modes: RtcMode[] = ['compatibility', 'matrix_2_0']
  const site = await serveFiles({
    texts: {
      '/index.html': HOST_PAGE,
      ...Object.fromEntries(
        modes.map((mode) => [`/${mode}/config.json`, JSON.stringify({ ...CONFIG, matrix_rtc_mode: mode })]),
      ),
    },
    folders: {
      ...Object.fromEntries(modes.map((mode) => [`/${mode}/`, dirname(ELEMENT_CALL)])),
      '/pkg/': join(wasm, 'pkg'),
      '/': folder,
    },
  })
  return {
    url: site.url,
    async close() {
      await site.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** Starts Debian's Chromium headless with a fake camera and microphone, and logs a user in. */
export async function openCaller(site: WebSite, user: TestUser): Promise<Caller> {
  const { server, context } = await launchBrowser()
  await context.addInitScript({ path: WATCH_CONNECTIONS })
  const page = await context.newPage()
  // Element Call may ask whether to leave.
  page.on('dialog', (dialog) => dialog.accept())
  const lines: string[] = []
  page.on('console', (message) => {
    lines.push(message.text())
    if (lines.length > LOG_LINES) lines.shift()
  })
  const limited: string[] = []
  page.on('response', (response) => {
    if (response.status() === 429) limited.push(`${response.request().method()} ${response.url()}`)
  })
  await page.goto(site.url)
  await page.waitForFunction('globalThis.page !== undefined')
  const { userId, deviceId, accessToken } = user
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  const run = (action: string, value?: unknown): Promise<any> =>
    page.evaluate(`globalThis.page.${action}(${JSON.stringify(value)})`)
  await run('start', { baseUrl: user.url, userId, deviceId, accessToken })

  const call = (): Frame => page.frames().find((frame) => frame !== page.mainFrame())!
  return {
    user,
    page,
    async join(roomId, { mode, delegates }) {
      // As on servers that cannot take the event over.
      if (!delegates) await context.route('**/delegate_delayed_leave', (route) => route.fulfill({ status: 404 }))
      await run('join', { roomId, elementCall: `/${mode}/` })
      await pollUntil(`${userId} joins the call`, async () => (await run('actions')).includes('io.element.join'))
    },
    tiles: async () => (await call().getByTestId('name_tag').allTextContents()).sort(),
    members: (roomId) => run('members', roomId),
    received: () => call().evaluate('globalThis.receivedMedia()'),
    limited: () => limited,
    log: () => lines.join('\n'),
    async hangUp() {
      await call().getByTestId('incall_leave').click()
    },
    closeTab: () => page.close({ runBeforeUnload: true }),
    kill: () => server.kill(),
  }
}

async function launchBrowser(): Promise<{ server: BrowserServer; context: BrowserContext }> {
  if (!existsSync(CHROMIUM))
    throw new Error('The tests need Debian’s package chromium: bash spec-tests/setup/install.sh')
  const server = await chromium.launchServer({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--use-fake-device-for-media-stream=fps=5',
      '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
      // LiveKit is on this machine.
      '--allow-loopback-in-peer-connection',
    ],
  })
  const browser = await chromium.connect(server.wsEndpoint())
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] })
  return { server, context }
}

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { freePort } from '../../testing/free-port.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { createTestAuthority, type TestAuthority } from '../../testing/test-authority.ts'
import { startHearth, type TestHearth } from './hearth.ts'
import { startRoundRobinProxy } from './round-robin-proxy.ts'
import { serveFiles, type WebSite } from './web-site.ts'

/** A page in Chromium that signs in with matrix-js-sdk; see `spec-tests/clients/oauth-page.js`. */
export type OAuthPage = {
  tab: Page
  /** Calls a function of the page, and returns its result. */
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  run(action: string, ...values: unknown[]): Promise<any>
}

/** A server with TLS, and a web client of another origin. */
export type OAuthWorld = {
  /** The first process. */
  hearth: TestHearth
  /** The public base URL of the server, as browsers reach it. */
  serverUrl: string
  /** PEM file of the certificate authority. */
  authority: string
  /** The URL of the client's page. */
  clientUrl: string
  /** Opens a browser profile without cookies. */
  newProfile(): Promise<BrowserContext>
  dispose(): Promise<void>
}

const CHROMIUM = '/usr/bin/chromium'
const CLIENT = join(import.meta.dirname, '..', 'clients', 'oauth-page.js')
const CLIENT_HOST = 'client.test'

type WorldOptions = { config?: Record<string, unknown>; processes?: 1 | 3; serverHost?: string }

/**
 * Starts both, and Debian's Chromium headless. Throws if it is not installed. `processes`: one on the embedded
 * database, or three on PostgreSQL, among which requests rotate. `serverHost`: under which programs reach the server.
 */
export async function startOAuthWorld(options: WorldOptions = {}): Promise<OAuthWorld> {
  if (!existsSync(CHROMIUM))
    throw new Error('The tests need Debian’s package chromium: bash spec-tests/setup/install.sh')
  const authority = createTestAuthority()
  const [server, site, browser] = await Promise.all([
    startServer(authority, options),
    serveClient(authority.issue(CLIENT_HOST)),
    chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--host-resolver-rules=MAP *.test 127.0.0.1'],
    }),
  ])
  return {
    hearth: server.hearths[0]!,
    serverUrl: server.url,
    authority: authority.certificate,
    clientUrl: site.url,
    newProfile: () => openProfile(browser),
    async dispose() {
      await browser.close()
      await site.close()
      await server.dispose()
      authority.dispose()
    },
  }
}

/** Starts the processes behind a proxy with TLS. */
async function startServer(
  authority: TestAuthority,
  { config, processes = 1, serverHost = 'hearth.test' }: WorldOptions,
) {
  const port = await freePort()
  const url = `https://${serverHost}:${port}`
  const postgres = processes > 1 ? await startPostgres() : undefined
  const options = {
    ...(postgres && { databaseUrl: await postgres.createDatabase() }),
    config: { ...config, public_base_url: url },
  }
  const hearths = await Promise.all(Array.from({ length: processes }, () => startHearth(options)))
  const backends = hearths.map((hearth) => hearth.url)
  const proxy = await startRoundRobinProxy(backends, { port, tls: authority.issue(serverHost) })
  return {
    url,
    hearths,
    async dispose() {
      await proxy.close()
      await Promise.all(hearths.map((hearth) => hearth.dispose()))
      await postgres?.stop()
    },
  }
}

/** The browser trusts any certificate: the authority of the tests is not installed. */
const openProfile = (browser: Browser) => browser.newContext({ ignoreHTTPSErrors: true })

/** Opens the client's page in a profile, or takes the one to which the server has sent the user back. */
export async function openClient(world: OAuthWorld, profile: BrowserContext): Promise<OAuthPage> {
  const tab = await profile.newPage()
  await tab.goto(world.clientUrl)
  return clientIn(tab)
}

/** Returns the client's page in a tab. */
export async function clientIn(tab: Page): Promise<OAuthPage> {
  await tab.waitForFunction('globalThis.page !== undefined')
  return {
    tab,
    run: (action, ...values) =>
      tab.evaluate(`globalThis.page[${JSON.stringify(action)}](...${JSON.stringify(values)})`),
  }
}

/** Serves the page and its scripts, bundled for the browser, on a local port. */
async function serveClient(tls: { certificate: string; key: string }): Promise<WebSite> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-oauth-page-'))
  const bundle = await rolldown({ input: CLIENT, platform: 'browser', logLevel: 'silent' })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: 'page.js', codeSplitting: false })
  const wasm = dirname(fileURLToPath(import.meta.resolve('@matrix-org/matrix-sdk-crypto-wasm')))
  const site = await serveFiles({
    texts: { '/index.html': '<!doctype html><title>Client</title><script type="module" src="/page.js"></script>' },
    folders: { '/pkg/': join(wasm, 'pkg'), '/': folder },
    https: { host: CLIENT_HOST, tls },
  })
  return {
    url: site.url,
    async close() {
      await site.close()
      await rm(folder, { recursive: true })
    },
  }
}

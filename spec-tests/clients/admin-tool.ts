import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { freePort } from '../../testing/free-port.ts'
import { createTestAuthority } from '../../testing/test-authority.ts'
import { registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth } from '../harness/hearth.ts'
import { createRoom, joinRoom, roomPath } from '../harness/rooms.ts'
import { startRoundRobinProxy } from '../harness/round-robin-proxy.ts'
import { serveFiles } from '../harness/web-site.ts'

/** A built web tool for administrators in Chromium, against a Hearth with TLS and something to administer. */
export type AdminTool = {
  /** Of the tool. */
  url: string
  /** Of the server, without its scheme: also its name. */
  server: string
  context: BrowserContext
  tab: Page
  admin: TestUser
  users: readonly TestUser[]
  rooms: readonly string[]
  /** Performs a step and notes whether it worked, with the requests that failed. */
  step(name: string, perform: () => Promise<unknown>): Promise<void>
  /** Prints a table of the steps, ends everything, and sets the exit code. */
  finish(): Promise<void>
}

const HOST = 'hearth.test'
const TOOL_HOST = 'tool.test'
/** Machines may be busy, and some acts of a tool take several requests. */
const PATIENCE_MS = 45_000
export const PASSWORD = 'correct horse battery'
export const PROVIDER = { kind: 'cas', id: 'campus', name: 'Campus', server_url: 'https://cas.example.org/' }

/**
 * Starts everything. `folder`: the built tool, by default the first argument of the command line. `fallback`: whether it
 * needs its page at unknown paths. `config`: further keys of the server's.
 */
export async function startAdminTool({
  folder = process.argv[2],
  fallback = false,
  config = {},
}: {
  folder?: string | undefined
  fallback?: boolean
  config?: object
} = {}): Promise<AdminTool> {
  if (!folder) throw new Error('Give the folder of the built tool, such as /tmp/ketesa/dist')
  const authority = createTestAuthority()
  const port = await freePort()
  const server = `${HOST}:${port}`
  const hearth = await startHearth({
    serverName: server,
    config: { public_base_url: `https://${server}`, identity_providers: [PROVIDER], ...config },
  })
  const proxy = await startRoundRobinProxy([hearth.url], { port, tls: authority.issue(HOST) })
  const site = await serveFiles({
    texts: {},
    folders: { '/': folder },
    ...(fallback && { fallback: `${folder}/index.html` }),
    https: { host: TOOL_HOST, tls: authority.issue(TOOL_HOST) },
  })
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--host-resolver-rules=MAP *.test 127.0.0.1'],
  })
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1400, height: 1000 } })
  context.setDefaultTimeout(PATIENCE_MS)
  const tab = await context.newPage()
  const steps = recordSteps(tab)
  return {
    url: site.url,
    server,
    context,
    tab,
    ...(await populate(hearth.url)),
    step: steps.step,
    async finish() {
      steps.print()
      await browser.close()
      await site.close()
      await proxy.close()
      await hearth.dispose()
      authority.dispose()
    },
  }
}

/** Users, rooms with messages, a file, and reports. */
async function populate(url: string): Promise<Pick<AdminTool, 'admin' | 'users' | 'rooms'>> {
  const admin = await registerAdmin(url, undefined, 'root')
  const users = await Promise.all(['alice', 'bob', 'carol', 'dave', 'erin'].map((name) => registerUser(url, name)))
  const [alice, bob] = users as [TestUser, TestUser]
  const rooms = [
    await createRoom(alice, { name: 'Garden', preset: 'public_chat', visibility: 'public' }),
    await createRoom(bob, { name: 'Library' }),
    await createRoom(admin, { name: 'Office' }),
  ]
  await joinRoom(rooms[0]!, bob)
  await joinRoom(rooms[0]!, admin)
  const eventId = await sendText(bob, rooms[0]!, 'Buy cheap seeds')
  await alice.post(roomPath(rooms[0]!, `report/${encodeURIComponent(eventId)}`), { reason: 'Spam', score: -50 })
  await alice.post(`/_matrix/client/v3/users/${encodeURIComponent(bob.userId)}/report`, { reason: 'Sells seeds' })
  for (const { accessToken } of [alice, bob])
    await fetch(`${url}/_matrix/media/v3/upload?filename=seeds.txt`, {
      method: 'POST',
      body: 'seeds',
      headers: { Authorization: `Bearer ${accessToken}`, 'Content-Type': 'text/plain' },
    })
  return { admin, users, rooms }
}

type Step = { name: string; error: string | undefined; refused: string[] }

function recordSteps(tab: Page): { step: AdminTool['step']; print(): void } {
  const steps: Step[] = []
  let refused: string[] = []
  tab.on('response', (response) => {
    const { pathname, search } = new URL(response.url())
    if (response.status() >= 400)
      refused.push(`${response.status()} ${response.request().method()} ${decodeURIComponent(pathname + search)}`)
  })
  tab.on('pageerror', (error) => refused.push(`script: ${error.message.split('\n')[0]}`))
  return {
    async step(name, perform) {
      refused = []
      let error: string | undefined
      try {
        await perform()
      } catch (thrown) {
        error = (thrown as Error).message.split('\n').slice(0, 3).join(' ')
        if (process.env.SCREENSHOTS)
          await tab.screenshot({ path: `${process.env.SCREENSHOTS}/${name.replace(/\W+/g, '-')}.png` })
      }
      steps.push({ name, error, refused })
      console.error(`${error === undefined ? 'works' : 'FAILS'}  ${name}${error === undefined ? '' : `: ${error}`}`)
      for (const request of refused) console.error(`       ${request}`)
    },
    print() {
      console.log('| Step | Works | Refused requests |\n|---|---|---|')
      for (const { name, error, refused: requests } of steps)
        console.log(`| ${name} | ${error === undefined ? 'yes' : `no: ${error}`} | ${requests.join('<br>')} |`)
      if (steps.some(({ error }) => error !== undefined)) process.exitCode = 1
    },
  }
}

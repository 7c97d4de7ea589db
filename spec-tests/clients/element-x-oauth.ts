import { equal } from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { clientIn, type OAuthWorld, openClient, startOAuthWorld } from '../harness/oauth-page.ts'
import { allow, allowDevice, signInOnPage } from '../harness/sign-in-pages.ts'
import { ELEMENT_X } from './element-x-build.ts'

/** Android's redirect of a private scheme, and a claimed page as on iOS. */
const REDIRECTS = ['io.element.android:/', 'https://element.io/oauth/ios/io.element.elementx']
const ROUNDS = 5
const PATIENCE_MS = 120_000
const PASSWORD = 'correct horse battery'
const BACKUP = '/_matrix/client/v3/room_keys/version'
const WHOAMI = '/_matrix/client/v3/account/whoami'

/**
 * Signs in to three server processes with Element X's SDK through the pages in Chromium, refreshes from two processes
 * of the app at the same time, with and without the lock that they share, and signs out; then by the QR code of a
 * matrix-js-sdk device. Throws if anything fails.
 */
export async function signInWithElementX(): Promise<void> {
  const world = await startOAuthWorld({ processes: 3, serverHost: 'localhost' })
  try {
    for (const redirect of REDIRECTS) await useApp(world, redirect)
    await scanCode(world)
  } finally {
    await world.dispose()
  }
}

/** Runs work with a folder of an app, and with a function that starts a process of the app. */
async function inFolder(
  world: OAuthWorld,
  work: (run: (action: string, ...more: string[]) => AppProcess, folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-element-x-'))
  const started: AppProcess[] = []
  try {
    await work((action, ...more) => {
      started.push(start([action, world.serverUrl, world.authority, folder, ...more]))
      return started.at(-1)!
    }, folder)
  } finally {
    for (const each of started) each.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function useApp(world: OAuthWorld, redirect: string): Promise<void> {
  const user = await registerUser(world.hearth.url, uniqueName('erin'))
  await inFolder(world, async (run, folder) => {
    const signIn = run('sign-in', redirect)
    signIn.say(await passPages(world, { url: await signIn.line(), user: user.userId, redirect }))
    const [userId, deviceId] = (await signIn.line()).split(' ')
    await signIn.end()
    equal(userId, user.userId)
    console.log(`Element X signed in by OAuth as ${userId} on ${deviceId}, and synced`)
    // Without the lock, a token that one process has used already would look stolen when the other refreshes.
    await inParallel([run('refresh-unlocked'), run('refresh-unlocked')], ['refresh', 'use'])
    await inParallel([run('refresh'), run('refresh')], ['refresh and use'])
    console.log(`two processes refreshed at the same time, ${ROUNDS} times without a lock and ${ROUNDS} times with it`)
    const { access_token: token } = JSON.parse(readFileSync(join(folder, 'session.json'), 'utf8')).user
    await run('sign-out').end('signed out')
    equal((await ask(world.hearth.url, { method: 'GET', path: WHOAMI, token })).status, 401)
    const device = `/_matrix/client/v3/devices/${encodeURIComponent(deviceId!)}`
    equal((await user.ask('GET', device)).status, 404)
    console.log('Element X signed out, and its device is gone')
  })
}

/** A device with matrix-js-sdk shows a QR code, and Element X scans it. */
async function scanCode(world: OAuthWorld): Promise<void> {
  const user = await registerUser(world.hearth.url, uniqueName('frank'))
  const { page, tab } = await signInClient(world, user)
  await page.run('start', { crypto: true })
  await page.run('setUpCrossSigning')
  const { roomId } = await page.run('say', 'from before Element X')
  await pollUntil('the message keys are backed up', async () => (await user.get(BACKUP)).count > 0)
  await inFolder(world, async (run) => {
    const app = run('scan', await page.run('showCode'), roomId, 'from before Element X')
    await page.run('negotiate')
    const { verificationUri } = await page.run('receiveGrant')
    const shared = page.run('shareSecrets')
    const userCode = await app.line()
    const approval = await tab.context().newPage()
    await approval.goto(verificationUri)
    await allowDevice(approval, userCode)
    equal((await app.line()).split(' ')[0], user.userId)
    equal(await shared, true)
    await app.end('read')
  })
  await page.run('stop')
  console.log('Element X signed in by QR code, and read an old encrypted message')
}

/** Signs the web client in. */
async function signInClient(world: OAuthWorld, user: TestUser) {
  const { tab, run } = await openClient(world, await world.newProfile())
  await run('signIn', { baseUrl: world.serverUrl, responseMode: 'query' })
  await signInOnPage(tab, { user: user.userId, password: PASSWORD })
  await allow(tab)
  await tab.waitForURL((url) => url.href.startsWith(world.clientUrl))
  const page = await clientIn(tab)
  await page.run('finishSignIn', 'query')
  return { page, tab }
}

/** Has both processes take steps at the same moment, several times. */
async function inParallel(processes: AppProcess[], steps: readonly string[]): Promise<void> {
  for (const each of processes) equal(await each.line(), 'ready')
  for (let round = 0; round < ROUNDS; round++) {
    for (const step of steps) {
      for (const each of processes) each.say(step)
      for (const each of processes) equal(await each.line(), 'done')
    }
  }
  for (const each of processes) await each.end()
}

/** Signs in and consents on the pages; returns the URL to which the browser is sent. */
async function passPages(
  world: OAuthWorld,
  { url, user, redirect }: { url: string; user: string; redirect: string },
): Promise<string> {
  const context = await world.newProfile()
  const tab = await context.newPage()
  const devtools = await context.newCDPSession(tab)
  await devtools.send('Network.enable')
  // Playwright reports no redirect to a private scheme. Chromium reports it only if the page's policy permits it.
  const sentTo = new Promise<string>((resolve) => {
    devtools.on('Network.requestWillBeSent', ({ request }) => {
      if (request.url.startsWith(redirect)) resolve(request.url)
    })
  })
  await tab.route('https://element.io/**', (route) => route.fulfill({ body: 'The app opens.' }))
  await tab.goto(url)
  await signInOnPage(tab, { user, password: PASSWORD })
  await allow(tab)
  const location = await within('the browser is sent back to the app', sentTo)
  if (redirect.startsWith('https:')) await tab.getByText('The app opens.').waitFor()
  await context.close()
  return location
}

type AppProcess = {
  /** Returns the next line that the program prints; throws with its log if it ends. */
  line(): Promise<string>
  say(line: string): void
  /** Waits until the program ends, which it must with success, after it has printed this line. */
  end(line?: string): Promise<void>
  kill(): void
}

/** Returns the result in time, or throws an error that names what is missing. */
async function within<Result>(what: string, promised: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It did not come true in ${PATIENCE_MS} ms that ${what}`)), PATIENCE_MS)
  })
  return Promise.race([promised, late]).finally(() => clearTimeout(timer))
}

function start(parameters: string[]): AppProcess {
  const child: ChildProcessWithoutNullStreams = spawn(ELEMENT_X, parameters)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let log = ''
  child.stderr.on('data', (chunk) => (log += chunk))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const failed = (what: string) => new Error(`element-x ${parameters.join(' ')}: ${what}\n${log}`)
  async function line(): Promise<string> {
    const { value, done } = await within(`element-x ${parameters[0]} prints a line`, lines.next())
    if (done) throw failed(`ended with ${await ended}`)
    return value
  }
  return {
    line,
    kill: () => void child.kill('SIGKILL'),
    say: (text) => void child.stdin.write(`${text}\n`),
    async end(last) {
      if (last !== undefined) equal(await line(), last)
      child.stdin.end()
      const status = await within(`element-x ${parameters[0]} ends`, ended)
      if (status !== 0) throw failed(`ended with ${status}`)
    },
  }
}

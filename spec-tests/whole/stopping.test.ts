import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser } from '../harness/client.ts'
import { placeDatabase, START_MS } from '../harness/hearth.ts'
import { v3 } from '../harness/rooms.ts'

/** However Hearth is started, a signal to the started process stops it gracefully, and leaves no process behind. */
const ROOT = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'hearth-stopping-'))
const link = join(folder, 'hearth')
const config = join(folder, 'hearth.yaml')
let url: string
vi.setConfig({ testTimeout: START_MS })

/** The environment of containers in a Kubernetes service called hearth. */
const KUBERNETES = { HEARTH_PORT: 'tcp://10.0.0.1:8008', HEARTH_SERVICE_HOST: '10.0.0.1', HEARTH_SERVICE_PORT: '8008' }

/**
 * Fails on demand: SIGUSR2 throws, SIGWINCH rejects a promise, SIGPROF makes a socket without an error listener fail.
 */
const FAULTS = `data:text/javascript,${encodeURIComponent(`
  import { Socket } from 'node:net'
  process.on('SIGUSR2', () => { throw new Error('a test has thrown') })
  process.on('SIGWINCH', () => void Promise.reject(new Error('a test has thrown')))
  process.on('SIGPROF', () => void new Socket().destroy(new Error('a test has thrown')))
`)}`

beforeAll(async () => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  const more = { registration: { enabled: true }, passwords: { memory_kib: 8, iterations: 1 } }
  writeFileSync(config, JSON.stringify({ data_dir: join(folder, 'data'), listeners: [{ port }], ...more }))
  symlinkSync(join(ROOT, 'bin/hearth'), link)
  await placeDatabase(join(folder, 'data'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Starts it as the leader of a process group; resolves once it responds. */
async function launch(command: string, env: Record<string, string> = {}) {
  const [program, ...words] = command.split(' ')
  const child = spawn(program!, words, { cwd: ROOT, detached: true, env: { ...process.env, ...KUBERNETES, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }))
  const answers = async () => child.exitCode !== null || (await fetch(`${url}/health`)).ok
  await pollUntil('Hearth answers', answers, START_MS)
  return { child, ended, output: () => output }
}

function isGroupGone(pid: number): boolean {
  try {
    process.kill(-pid, 0)
    return false
  } catch {
    return true
  }
}

describe.each([
  ['npm', `npm start -- --config ${config}`],
  ['npm run', `npm run hearth start -- --config ${config}`],
  ['its program', `bin/hearth start --config ${config}`],
  ['a link to its program', `${link} start --config ${config}`],
])('started by %s', (_, command) => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s stops it', async (signal) => {
    const { child, ended, output } = await launch(command)
    child.kill(signal)
    expect(await ended, output()).toEqual({ code: 0, signal: null })
    expect(isGroupGone(child.pid!)).toBe(true)
    await expect(fetch(`${url}/health`)).rejects.toThrow('fetch failed')
    expect(output()).toContain('no effect: HEARTH_PORT, HEARTH_SERVICE_HOST, HEARTH_SERVICE_PORT')
  })
})

test('Ctrl-C, which reaches npm and Hearth at the same time, stops it', async () => {
  const { child, ended } = await launch(`npm start -- --config ${config}`)
  process.kill(-child.pid!, 'SIGINT')
  expect(await ended).toEqual({ code: 0, signal: null })
  expect(isGroupGone(child.pid!)).toBe(true)
})

test.each(['SIGUSR2', 'SIGWINCH', 'SIGPROF'] as const)(
  'an unexpected exception (%s) is logged, and stops it gracefully with 1',
  async (signal) => {
    const options = `${process.env.NODE_OPTIONS ?? ''} --import ${FAULTS}`
    const { child, ended, output } = await launch(`bin/hearth start --config ${config}`, { NODE_OPTIONS: options })
    const user = await registerUser(url)
    const { next_batch } = await user.get(`${v3}/sync?timeout=0`)
    const waiting = user.ask('GET', `${v3}/sync?timeout=60000&since=${next_batch}`)
    await user.get(`${v3}/account/whoami`)
    child.kill(signal)
    expect((await waiting).status).toBe(200)
    expect(await ended, output()).toEqual({ code: 1, signal: null })
    expect(output()).toMatch(/"level":"fatal".*a test has thrown.*uncaught exception/)
  },
)

test('it goes on when the reader of its log has gone', async () => {
  const { child, ended } = await launch(`bin/hearth start --config ${config}`, { HEARTH_LOG_LEVEL: 'debug' })
  child.stdout.destroy()
  child.stderr.destroy()
  for (let i = 0; i < 10; i++) expect((await fetch(`${url}${v3}/login`)).status).toBe(200)
  child.kill('SIGTERM')
  expect((await ended).code).toBe(0)
})

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { placeDatabase, START_MS } from '../harness/hearth.ts'
import { startRoundRobinProxy } from '../harness/round-robin-proxy.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-commands-'))
/** On a busy machine. */
vi.setConfig({ testTimeout: 240_000 })
const PASSWORD = 'correct horse'
const CHEAP = 'passwords: {memory_kib: 8, iterations: 1}'

type Result = { code: number | null; stdout: string; stderr: string }
type Launched = { child: ChildProcess; output: { stdout: string; stderr: string }; ended: Promise<Result> }

function launch(words: string[], stdin = ''): Launched {
  const child = spawn(join(import.meta.dirname, '../../bin/hearth'), words, { cwd: folder })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk
  })
  child.stdin.end(stdin)
  return { child, output, ended: once(child, 'close').then(([code]) => ({ code, ...output })) }
}

function hearth(words: string[], stdin?: string): Promise<Result> {
  return launch(words, stdin).ended
}

function configuration(name: string, listens: number): string {
  const file = join(folder, `${name}.yaml`)
  writeFileSync(
    file,
    `data_dir: ${join(folder, name)}\nlisteners: [{port: ${listens}}]\nlog: {level: warn}\n${CHEAP}\n`,
  )
  return file
}

let port: number
let config: string
let server: Launched

beforeAll(async () => {
  port = await freePort()
  config = configuration('one', port)
  server = launch(['--config', config])
  const greets = async () => {
    if (server.child.exitCode !== null) throw new Error(server.output.stderr)
    return server.output.stderr.includes('Ctrl-C stops it')
  }
  await pollUntil('Hearth greets', greets, START_MS)
}, START_MS)

afterAll(async () => {
  server.child.kill('SIGKILL')
  await server.ended
  rmSync(folder, { recursive: true })
})

async function logIn(user: string, password: string): Promise<number> {
  return (await logInWith(user, password)).status
}

function logInWith(user: string, password: string): Promise<Response> {
  const body = JSON.stringify({ type: 'm.login.password', identifier: { type: 'm.id.user', user }, password })
  return fetch(`http://127.0.0.1:${port}/_matrix/client/v3/login`, { method: 'POST', body })
}

test('start greets with what to do next', async () => {
  expect(server.output.stderr).toContain(`http://localhost:${port} `)
  expect(server.output.stderr).toContain(`user create -- --admin --config ${config}`)
  expect(server.output.stderr).toContain(`doctor -- --config ${config}\n`)
})

test('start refuses a data folder in use, in one line', async () => {
  const { code, stderr } = await hearth(['--config', config])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^The data folder .* is in use by another Hearth \(process \d+\).*\n$/)
})

test('start refuses a port in use, in one line', async () => {
  const file = configuration('two', port)
  await placeDatabase(join(folder, 'two'))
  const { code, stderr } = await hearth(['--config', file])
  expect(code).toBe(1)
  expect(stderr).toBe(
    `127.0.0.1:${port} is already in use. Stop the other program, or choose another port in listeners.\n`,
  )
})

test('user create makes accounts at a server that runs', async () => {
  const { code, stdout } = await hearth(['user', 'create', 'alice', '--admin', '--config', config], `${PASSWORD}\n`)
  expect(stdout).toContain('Created the account @alice:localhost, an administrator.')
  expect(code).toBe(0)
  expect(await logIn('alice', PASSWORD)).toBe(200)
  const again = await hearth(['user', 'create', 'alice', '--config', config], `${PASSWORD}\n`)
  expect(again).toMatchObject({ code: 1, stdout: '', stderr: 'This user name is taken.\n' })
})

test('accounts are listed, shown and changed at a server that runs, as an operator in the audit log', async () => {
  const user = (...words: string[]) => hearth(['user', ...words, '--config', config], `${PASSWORD}\n`)
  expect(await user('create', 'dora')).toMatchObject({ code: 0 })
  expect(await user('lock', 'dora')).toMatchObject({ code: 0, stdout: '@dora:localhost is locked.\n' })
  expect((await user('list')).stdout).not.toContain('@dora')
  expect((await user('list', '--all')).stdout).toMatch(
    /@alice:localhost +alice +admin .*\n@dora:localhost +dora +locked/,
  )
  expect(JSON.parse((await user('show', 'dora', '--json')).stdout)).toMatchObject({ locked: true, admin: false })
  expect(await user('lock', 'alice')).toMatchObject({ code: 1, stderr: 'This user is an administrator.\n' })
  expect(await user('suspend', 'nobody')).toMatchObject({ code: 1, stderr: 'Unknown user.\n' })
  expect(await user('deactivate', 'dora')).toMatchObject({ code: 0, stdout: '@dora:localhost is deactivated.\n' })
  expect(await user('reset-password', 'alice')).toMatchObject({ code: 0 })
  const { access_token } = (await (await logInWith('alice', PASSWORD)).json()) as { access_token: string }
  const entries = await fetch(`http://127.0.0.1:${port}/_hearth/admin/v1/audit_log`, {
    headers: { authorization: `Bearer ${access_token}` },
  })
  const log = (await entries.json()) as { entries: object[] }
  expect(log.entries).toContainEqual(
    expect.objectContaining({ actor: `command line: ${userInfo().username}`, target: '@dora:localhost' }),
  )
})

test('tokens are created, listed and revoked at a server that runs', async () => {
  const factors = await hearth(['user', 'reset-second-factor', 'alice', '--config', config])
  expect(factors).toMatchObject({ code: 0, stdout: '@alice:localhost has no second factor: nothing to do.\n' })
  const nobody = await hearth(['user', 'reset-second-factor', 'nobody', '--config', config])
  expect(nobody).toMatchObject({ code: 1, stderr: 'Unknown user.\n' })

  const invitation = await hearth([
    'registration-token',
    'create',
    '--uses',
    '1',
    '--expires',
    '7d',
    '--config',
    config,
  ])
  expect(invitation).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^(\w{16})\nhttp.*\/register\?token=\1\n$/),
  })
  const named = ['registration-token', 'create', 'summer-school', '--config', config]
  expect((await hearth(named)).stdout).toContain('summer-school\n')
  expect(await hearth(named)).toMatchObject({
    code: 1,
    stderr: 'The registration token summer-school exists already.\n',
  })
  expect(await hearth(['registration-token', 'create', '--uses', '0', '--config', config])).toMatchObject({ code: 2 })

  const token = await hearth([
    'token',
    'create',
    'alice',
    '--name',
    'Weather bot',
    '--expires',
    '90d',
    '--config',
    config,
  ])
  expect(token).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hearth_personal_\w{40}\n/) })
  expect(token.stdout).toMatch(
    /acts as @alice:localhost \(urn:matrix:client:api:\*\), until \d{4}-.*\nIt is shown only this once/,
  )
  const byScript = await hearth(['token', 'create', 'alice', '--device', 'BOT', '--json', '--config', config])
  const { access_token: secret, token_id: id, ...rest } = JSON.parse(byScript.stdout)
  expect(rest).toMatchObject({ device_id: 'BOT', user_id: '@alice:localhost', expires_ts: null })
  const listed = await hearth(['token', 'list', 'alice', '--config', config])
  expect(listed.stdout).toMatch(/Weather bot +\d{4}-.* UTC +- +\d{4}-/)
  expect(listed.stdout).toContain(`${id}  `)
  expect(listed.stdout + (await hearth(['token', 'list', 'alice', '--json', '--config', config])).stdout).not.toContain(
    secret,
  )
  expect(await hearth(['token', 'create', 'alice', '--expires', 'never', '--config', config])).toMatchObject({
    code: 2,
  })
  expect(await hearth(['token', 'create', 'nobody', '--config', config])).toMatchObject({
    code: 1,
    stderr: 'Unknown user.\n',
  })
  const revoked = await hearth(['token', 'revoke', id, '--config', config])
  expect(revoked).toMatchObject({ code: 0, stdout: `The token ${id} is revoked.\n` })
  expect(await hearth(['token', 'revoke', id, '--config', config])).toMatchObject({
    code: 1,
    stderr: 'There is no such personal token.\n',
  })

  const whoami = (access: string) =>
    fetch(`http://127.0.0.1:${port}/_matrix/client/v3/account/whoami`, {
      headers: { authorization: `Bearer ${access}` },
    })
  expect((await whoami(token.stdout.split('\n')[0]!)).status).toBe(200)
  expect((await whoami(secret)).status).toBe(401)
})

test('doctor finds the server that runs', async () => {
  const { stdout } = await hearth(['doctor', '--config', config])
  expect(stdout).toContain(`✓ Hearth answers on http://127.0.0.1:${port}`)
  expect(stdout).toContain('✓ The running Hearth uses the embedded database')
  expect(stdout).toContain(`✓ Clients reach http://localhost:${port}`)
  expect(stdout).toContain('✓ Clients can log in')
  expect(stdout).toContain('✓ Browsers reach the pages for sign-in and for accounts')
})

test('doctor finds a reverse proxy that passes on only some paths', async () => {
  const passes = /^\/(_matrix|\.well-known|account|assets)\//
  const proxy = await startRoundRobinProxy([`http://127.0.0.1:${port}`], { passes })
  const file = join(folder, 'partly.yaml')
  writeFileSync(file, `${readFileSync(config, 'utf8')}public_base_url: ${proxy.url}\n`)
  const { code, stdout } = await hearth(['doctor', '--config', file])
  await proxy.close()
  expect(code).toBe(1)
  expect(stdout).toMatch(/✗ Element X and Element cannot sign users in: .*: \/login, \/consent, \/device, .*\/oauth2, /)
  expect(stdout).toMatch(/→ Have the reverse proxy pass all paths of 127\.0\.0\.1:\d+ on to Hearth/)
  expect(stdout).not.toMatch(/do not reach Hearth: [^\n]*\/account/)
})

test.each([
  [
    'leaves out',
    {},
    '! Limits count all clients as one, because the reverse proxy does not set X-Forwarded-For.\n    → Have the proxy',
  ],
  ['sets', { 'x-forwarded-for': '203.0.113.5' }, "✓ Rate limits use the clients' addresses\n"],
])('doctor finds a reverse proxy that %s the addresses of clients', async (_, headers, found) => {
  const proxy = await startRoundRobinProxy([`http://127.0.0.1:${port}`], { headers })
  const file = join(folder, 'proxied.yaml')
  writeFileSync(file, `${readFileSync(config, 'utf8')}public_base_url: ${proxy.url}\n`)
  const { stdout } = await hearth(['doctor', '--config', file])
  await proxy.close()
  expect(stdout).toContain(found)
})

test('SIGTERM ends the server with 0; then accounts are made and passwords reset without it', async () => {
  server.child.kill('SIGTERM')
  expect((await server.ended).code).toBe(0)
  const made = await hearth(['user', 'create', '@bob:localhost', '--config', config], `${PASSWORD}\n`)
  expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('Created the account @bob:localhost.') })
  const weak = await hearth(['user', 'create', 'carl', '--config', config], 'short\n')
  expect(weak).toMatchObject({ code: 1, stderr: 'A password needs at least 8 characters.\n' })
  const reset = await hearth(['user', 'reset-password', 'alice', '--config', config], 'another horse\n')
  expect(reset).toMatchObject({ code: 0, stdout: '@alice:localhost has a new password.\n' })
  expect((await hearth(['token', 'list', 'bob', '--config', config])).stdout).toContain('has no personal tokens')

  server = launch(['--config', config])
  await pollUntil('the new password works', async () => (await logIn('alice', 'another horse')) === 200, START_MS)
  expect(await logIn('alice', PASSWORD)).toBe(403)
  expect(await logIn('bob', PASSWORD)).toBe(200)
})

test('migrate says what it did', async () => {
  const file = configuration('three', 0)
  expect((await hearth(['migrate', '--config', file])).stdout).toMatch(
    /^(Applied \d{4}_\w+\n)+The database is up to date.\n$/,
  )
  expect((await hearth(['migrate', '--config', file])).stdout).toBe('The database is up to date.\n')
})

test('accounts at identity providers are linked, listed and unlinked', async () => {
  server.child.kill('SIGTERM')
  await server.ended
  const file = join(folder, 'campus.yaml')
  const providers = 'identity_providers: [{kind: cas, id: campus, name: Campus, server_url: "http://127.0.0.1:9/"}]'
  writeFileSync(file, `${readFileSync(config, 'utf8')}${providers}\n`)
  const link = (command: string, user: string, provider = 'campus') =>
    hearth(['user', command, user, '--provider', provider, '--subject', '4711', '--config', file])
  expect(await link('link-provider', 'bob', 'nowhere')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('there is no identity provider nowhere'),
  })
  expect(await hearth(['user', 'link-provider', 'bob', '--config', file])).toMatchObject({ code: 2 })
  expect(await link('link-provider', 'bob')).toMatchObject({
    code: 0,
    stdout: '@bob:localhost can sign in at campus as 4711.\n',
  })
  expect(await link('link-provider', 'alice')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('another user'),
  })
  expect((await hearth(['user', 'list-providers', 'bob', '--config', file])).stdout).toMatch(/campus +4711/)
  expect(await link('unlink-provider', 'bob')).toMatchObject({ code: 0 })
  expect(await link('unlink-provider', 'bob')).toMatchObject({ code: 1, stderr: 'This account is not linked.\n' })
  expect(JSON.parse((await hearth(['user', 'list-providers', 'bob', '--json', '--config', file])).stdout)).toEqual([])
})

import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { commandsOf, runCommandLine } from './cli.ts'
import { migrate } from './storage/engine/migrate.ts'
import { openDatabase } from './storage/engine/open-database.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

/** Runs a command line in this process, with these variables. */
async function hearth(words: string[], env: Record<string, string> = {}) {
  const printed = { stdout: '', stderr: '' }
  vi.spyOn(console, 'log').mockImplementation((line) => {
    printed.stdout += `${line}\n`
  })
  vi.spyOn(console, 'error').mockImplementation((line) => {
    printed.stderr += `${line}\n`
  })
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed.stdout += text
    return true
  })
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  return { code: await runCommandLine(words), ...printed }
}

describe('help', () => {
  test.each([['--help'], ['-h'], ['help']])('%s lists the commands', async (word) => {
    const { code, stdout } = await hearth([word])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /start.*generate-config.*doctor.*migrate.*list-endpoints.*user.*token.*registration-token.*media/s,
    )
  })

  test.each([
    'start',
    'generate-config',
    'doctor',
    'migrate',
    'list-endpoints',
    ...commandsOf('user'),
    ...commandsOf('room'),
    ...commandsOf('token'),
    ...commandsOf('registration-token'),
    ...commandsOf('media'),
    ...commandsOf('federation'),
  ])('explains %s with examples', async (command) => {
    const { code, stdout } = await hearth([...command.split(' '), '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain(`Usage: hearth ${command}`)
    expect(stdout).toMatch(/Examples:\n {2}# .*\n {2}hearth /)
  })

  test.each([
    [['user', '--help'], 0],
    [['help', 'user'], 0],
    [['user'], 2],
  ])('%j lists the commands of the group', async (words, code) => {
    const printed = await hearth(words)
    expect(printed.code).toBe(code)
    expect(printed.stdout + printed.stderr).toMatch(/user create.*user list.*user lock/s)
  })

  test('--version', async () => {
    expect(await hearth(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })
})

describe('a wrong command line ends with 2 and one line', () => {
  test.each([
    [['strat'], 'There is no command strat; did you mean start? See: hearth --help\n'],
    [['user', 'lok', 'x'], 'There is no command user lok; did you mean user lock? See: hearth --help\n'],
    [['user', 'lock'], 'USERNAME is missing: hearth user lock USERNAME\n'],
    [['user', 'list', '--limit', 'many'], '--limit: expected a whole number, not many\n'],
    [['media', 'delete', 'a'], 'a is no URI such as mxc://example.org/a1b2c3\n'],
    [['constructor'], 'There is no command constructor. See: hearth --help\n'],
    [['start', '--confg', 'x'], "Unknown option '--confg'; did you mean --config?\n"],
    [['--confg', 'x'], "Unknown option '--confg'; did you mean --config?\n"],
    [['doctor', 'x'], 'Unexpected argument: x\n'],
    [['user', 'create', 'x', 'y'], 'Unexpected argument: y\n'],
    [['start', '--config'], "Option '--config <value>' argument missing\n"],
  ])('%j', async (words, expected) => {
    expect(await hearth(words)).toEqual({ code: 2, stdout: '', stderr: expected })
  })
})

test('a wrong configuration ends with 2 and a line for each problem', async () => {
  const file = join(folder, 'wrong.yaml')
  writeFileSync(file, 'log:\n  levle: info\n')
  const { code, stderr } = await hearth(['start', '--config', file], { HEARTH_SERVERNAME: 'a' })
  expect(code).toBe(2)
  expect(stderr).toBe(
    `Unknown environment variables have no effect: HEARTH_SERVERNAME (did you mean HEARTH_SERVER_NAME?)
Hearth cannot use this configuration:
${file}:2: log.levle: unknown key; did you mean log.level?
`,
  )
})

describe('generate-config', () => {
  test('prints the example', async () => {
    const { code, stdout } = await hearth(['generate-config'])
    expect(code).toBe(0)
    expect(stdout).toBe(readFileSync('config.example.yaml', 'utf8'))
  })

  test('writes a new file, and not over an old one', async () => {
    const file = join(folder, 'new.yaml')
    const words = ['generate-config', '--server-name', 'a.org', '--output', file]
    expect((await hearth(words)).code).toBe(0)
    expect(readFileSync(file, 'utf8')).toContain('\nserver_name: a.org\n')
    expect(await hearth(words)).toMatchObject({
      code: 1,
      stderr: `${file} already exists. Name another file, or move the existing one.\n`,
    })
  })
})

describe('doctor', () => {
  test('approves of the defaults before the first start, and leaves nothing behind', async () => {
    const dataDir = join(folder, 'unborn')
    const { code, stdout } = await hearth(['doctor'], { HEARTH_DATA_DIR: dataDir, HEARTH_LISTENERS: '[{port: 0}]' })
    expect(stdout).not.toContain('✗')
    expect(code).toBe(0)
    expect(existsSync(dataDir)).toBe(false)
  })

  test('finds what is wrong, says how to fix it, and ends with 1', async () => {
    const foreign = createServer((socket) => socket.end('no')).listen(0, '127.0.0.1')
    await once(foreign, 'listening')
    const { port } = foreign.address() as AddressInfo
    const { code, stdout } = await hearth(['doctor'], {
      HEARTH_LISTENERS: JSON.stringify([{ port, serves: ['federation'] }]),
      HEARTH_DATABASE_URL: 'postgresql://127.0.0.1:1/a',
    })
    foreign.close()
    expect(code).toBe(1)
    expect(stdout).toContain(`✗ The program on http://127.0.0.1:${port} is not a healthy Hearth.\n    → `)
    expect(stdout).toContain('✗ No listener serves clients.\n    → ')
    expect(stdout).toContain('✗ Cannot reach PostgreSQL: ')
  })

  test('reports a wrong configuration', async () => {
    const { code, stdout } = await hearth(['doctor'], { HEARTH_LOG_LEVEL: 'loud' })
    expect(code).toBe(1)
    expect(stdout).toContain('✗ HEARTH_LOG_LEVEL: log.level: expected one of')
  })
})

test('an unreachable PostgreSQL is reported in one line, without its password', async () => {
  const { code, stderr } = await hearth(['migrate'], { HEARTH_DATABASE_URL: 'postgresql://a:hunter2@127.0.0.1:1/a' })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^Cannot reach PostgreSQL: .*Check that it runs and that database.url is right\.\n$/)
  expect(stderr).not.toContain('hunter2')
})

test('a database that a newer Hearth upgraded is refused in one line, with advice', async () => {
  const data_dir = join(folder, 'newer')
  const database = await openDatabase({ folder: data_dir, poolSize: 1, cacheBytes: 1024, reportError: () => {} })
  await migrate(database)
  await sql`insert into kysely_migration values ('9999_from_the_future', now())`.execute(database.sql)
  await database.close()
  for (const command of ['start', 'migrate', 'doctor']) {
    const { code, stdout, stderr } = await hearth([command], {
      HEARTH_DATA_DIR: data_dir,
      HEARTH_SERVER_NAME: 'a.test',
    })
    expect(code).toBe(1)
    const text = command === 'doctor' ? stdout : stderr
    expect(text).toMatch(
      /The database was upgraded by a newer Hearth: .* 9999_from_the_future. Run the newer version, .*\n/,
    )
    if (command !== 'doctor') expect(text.trim().split('\n')).toHaveLength(1)
  }
}, 60_000)

describe('media move', () => {
  const bucket = { HEARTH_MEDIA_S3_BUCKET: 'b', HEARTH_MEDIA_STORE: 'disk' }
  test.each([
    ['without a destination', ['media', 'move'], {}, 'Say where to: --to s3 or --to disk'],
    ['without a bucket', ['media', 'move', '--to', 's3'], {}, 'media.s3.bucket is not set. Configure the bucket first'],
    ['while new files go elsewhere', ['media', 'move', '--to', 's3'], bucket, 'Set media.store: s3, restart all'],
  ])('%s says what to do', async (_, words, env, advice) => {
    const { code, stderr } = await hearth(words, { HEARTH_DATA_DIR: join(folder, 'unused'), ...env })
    expect(code).not.toBe(0)
    expect(stderr).toContain(advice)
    expect(existsSync(join(folder, 'unused'))).toBe(false)
  })
})

test('a command explains that another program answers in place of Hearth', async () => {
  const other = createHttpServer((_request, response) => response.end('<html>'))
  await once(other.listen(0, '127.0.0.1'), 'listening')
  const { port } = other.address() as AddressInfo
  const dataDir = mkdtempSync(join(folder, 'other-'))
  // Of a process that lives: that of this test's parent.
  writeFileSync(join(dataDir, 'hearth.lock'), `${process.ppid} \n`)
  writeFileSync(join(dataDir, 'registration.secret'), 'secret\n')
  const env = { HEARTH_DATA_DIR: dataDir, HEARTH_LISTENERS: `[{port: ${port}}]` }
  const { code, stderr } = await hearth(['user', 'list'], env)
  other.close()
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^The answer is not from Hearth\. Check .*\n$/)])
})

test('federation status lists servers that fail first, and retry ends the back-off of one', async () => {
  const data_dir = join(folder, 'peers')
  const database = await openDatabase({ folder: data_dir, poolSize: 1, cacheBytes: 1024, reportError: () => {} })
  await migrate(database)
  await database.write((tx) =>
    sql`insert into federation_destinations (destination, failures, failing_since, failed_ts, retry_ts)
      values ('a.test', 0, null, null, 0), ('gone.test', 3, 1000, 2000, 4e12::bigint)`.execute(tx.sql),
  )
  await database.close()
  const env = { HEARTH_DATA_DIR: data_dir, HEARTH_LOG_LEVEL: 'error' }
  const { stdout, stderr } = await hearth(['federation', 'status'], env)
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^server .*\ngone\.test +fails .*\na\.test +reached .*\n2 of 2\n$/)
  expect(await hearth(['federation', 'retry', 'gone.test'], env)).toMatchObject({ code: 0 })
  expect(await hearth(['federation', 'retry', 'a.test'], env)).toMatchObject({
    code: 1,
    stderr: 'There is no back-off for this destination that could be ended.\n',
  })
})

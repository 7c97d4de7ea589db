import { execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from './free-port.ts'
import { pollUntil } from './poll-until.ts'

/** A PostgreSQL for the tests, which lives as long as they do. */
export type TestPostgres = {
  /** Creates an empty database and returns its URL. */
  createDatabase(): Promise<string>
  /** The server's process, for CPU accounting. */
  pid: number
  stop(): Promise<void>
}

const DEBIAN = '/usr/lib/postgresql'

/**
 * Starts a PostgreSQL from Debian's package on a free port, with durable commits as in production. Throws if it is not
 * installed. `settings`: further ones, such as `work_mem=1MB`.
 */
export async function startPostgres(settings: readonly string[] = []): Promise<TestPostgres> {
  const binaries = findBinaries()
  const folder = mkdtempSync(join(tmpdir(), 'hearth-postgres-'))
  const data = join(folder, 'data')
  const asPostgres = dropRoot(folder)
  execFileSync(
    join(binaries, 'initdb'),
    ['-D', data, '-U', 'hearth', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale', 'C'],
    {
      stdio: 'ignore',
      ...asPostgres,
    },
  )
  const port = await freePort()
  const options = [
    '-D',
    data,
    '-p',
    String(port),
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    `unix_socket_directories=${folder}`,
    '-c',
    'max_connections=300',
    ...settings.flatMap((setting) => ['-c', setting]),
  ]
  const server = spawn(join(binaries, 'postgres'), options, { stdio: 'ignore', ...asPostgres })
  const url = (database: string) => `postgresql://hearth@127.0.0.1:${port}/${database}`
  await pollUntil('PostgreSQL answers', () => query(url('postgres'), 'select 1').then(() => true))
  let made = 0
  return {
    pid: server.pid!,
    async createDatabase() {
      const name = `hearth_${process.pid}_${++made}`
      await query(url('postgres'), `create database ${name}`)
      return url(name)
    },
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve))
      // At once: to write out what is then removed may take seconds on a busy disk.
      server.kill('SIGQUIT')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function findBinaries(): string {
  const versions = existsSync(DEBIAN)
    ? readdirSync(DEBIAN).filter((name) => existsSync(join(DEBIAN, name, 'bin', 'initdb')))
    : []
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0]
  if (!newest) throw new Error('PostgreSQL is not installed: apt-get install postgresql')
  return join(DEBIAN, newest, 'bin')
}

/** PostgreSQL refuses to run as root. */
function dropRoot(folder: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  const ids = { uid: id('-u'), gid: id('-g') }
  chownSync(folder, ids.uid, ids.gid)
  return ids
}

/** Runs a statement in a database, by its URL, and returns the rows. */
// biome-ignore lint/suspicious/noExplicitAny: rows have every shape
export async function query(url: string, text: string): Promise<any[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

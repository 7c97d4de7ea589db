import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, expect, test } from 'vitest'
import { defaultConfig } from './config.ts'
import { startServer } from './server.ts'
import type { Database } from './storage/engine/database.ts'
import { openDatabase } from './storage/engine/open-database.ts'
import { templateFile } from './testing/test-database.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-server-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Creates a data folder with a migrated database, and runs `change` on the database. */
async function dataFolder(name: string, change: string): Promise<string> {
  const data_dir = join(folder, name)
  mkdirSync(join(data_dir, 'database'), { recursive: true })
  execFileSync('tar', ['-xf', await templateFile(), '-C', join(data_dir, 'database')])
  const database = await open(data_dir)
  await database.write((tx) => sql.raw(change).execute(tx.sql))
  await database.close()
  return data_dir
}

function open(data_dir: string): Promise<Database> {
  return openDatabase({ folder: data_dir, poolSize: 1, cacheBytes: 1024, reportError: () => {} })
}

/** Listens on a port (0: any), stops and returns the port. Throws if the port is taken. */
function tryPort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address() as { port: number }
      server.close(() => resolve(address.port))
    })
  })
}

/** Counts the timers and listeners that keep this process alive. */
function activeResources(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout' || kind === 'TCPServerWrap').length
}

test.each([
  ['a port is taken', 'select 1', 'EADDRINUSE'],
  ['a worker cannot start', 'alter table room_servers rename to gone', 'room_servers'],
])('when %s, the start fails and leaves no listener, worker or lock behind', async (name, change, message) => {
  const before = activeResources()
  const [port, other] = [await tryPort(0), await tryPort(0)]
  const data_dir = await dataFolder(name, change)
  const taken = createServer().listen(message === 'EADDRINUSE' ? other : 0, '127.0.0.1')
  const config = defaultConfig({ data_dir, log: { level: 'silent' }, listeners: [{ port }, { port: other }] })
  await expect(startServer(config)).rejects.toThrow(message)
  await new Promise((resolve) => taken.close(resolve))
  await expect.poll(activeResources).toBeLessThanOrEqual(before)
  await tryPort(port)
  await tryPort(other)
  // Throws while the data folder is locked.
  await (await open(data_dir)).close()
})

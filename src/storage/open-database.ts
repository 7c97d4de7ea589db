import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect, PostgresDialect } from 'kysely'
import pg from 'pg'
import { createCaches } from './caches.ts'
import { lockDataFolder } from './data-folder-lock.ts'
import { type Database, makeWrite } from './database.ts'
import { nameStatements } from './prepared-statements.ts'
import type { Tables } from './schema.ts'

export type DatabaseOptions = {
  /** PostgreSQL's URL; absent: the embedded database in `folder`. */
  url?: string | undefined
  /** Where the embedded database lives; `memory://` keeps it in memory. */
  folder: string
  poolSize: number
  /** Memory for the caches of events and state, in bytes. */
  cacheBytes: number
  /** Hears of idle connections that break and of failing afterCommit hooks. */
  reportError(error: unknown): void
}

/**
 * What a statement is about does not change how it is best gone about: it is planned once for each connection, not anew whenever that looks cheaper to the
 * database. For what reads a list of rooms planning takes ten times as long as reading, and compiling a hundred times as long.
 */
const PLANS = 'set plan_cache_mode = force_generic_plan; set jit = off'

const INT8 = 20
const INT8_ARRAY = 1016

/** Opens PostgreSQL or the embedded PGlite. Does not migrate. Throws `DataFolderLockedError` when another process has the folder. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  return options.url === undefined ? openEmbedded(options) : openPostgres(options, options.url)
}

async function openPostgres(options: DatabaseOptions, url: string): Promise<Database> {
  const types = new pg.TypeOverrides()
  types.setTypeParser(INT8, Number)
  types.setTypeParser(INT8_ARRAY, (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number)))
  const pool = new pg.Pool({ connectionString: url, max: options.poolSize, types, application_name: 'hearth' })
  pool.on('error', options.reportError)
  pool.on('connect', (client) => client.query(PLANS).catch(options.reportError))
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: nameStatements(pool) }) })
  const caches = createCaches(options.cacheBytes)
  return {
    engine: 'postgresql',
    sql: kysely,
    caches,
    ...makeWrite(kysely, caches, options.reportError),
    listen: (channel, onHint) => listenPostgres(url, channel, onHint, options.reportError),
    poolStatus: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => kysely.destroy(),
  }
}

/** A connection of its own that listens, and comes back after a break; what is missed meanwhile the stream's poll finds. */
async function listenPostgres(
  url: string,
  channel: string,
  onHint: (payload: string) => void,
  reportError: (error: unknown) => void,
): Promise<() => Promise<void>> {
  let client: pg.Client | undefined
  let stopped = false
  let retry: NodeJS.Timeout | undefined

  async function connect(): Promise<void> {
    const fresh = new pg.Client({ connectionString: url, application_name: 'hearth listener' })
    fresh.on('notification', (message) => onHint(message.payload ?? ''))
    fresh.on('error', (error) => {
      reportError(error)
      if (client === fresh) reconnect()
    })
    await fresh.connect()
    await fresh.query(`listen ${pg.escapeIdentifier(channel)}`)
    client = fresh
  }

  function reconnect(): void {
    client = undefined
    if (stopped) return
    retry = setTimeout(() => connect().catch(reconnect), 1000)
  }

  await connect()
  return async () => {
    stopped = true
    clearTimeout(retry)
    await client?.end()
  }
}

async function openEmbedded(options: DatabaseOptions): Promise<Database> {
  const inMemory = options.folder.startsWith('memory://')
  if (!inMemory) mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  const unlock = inMemory ? () => {} : lockDataFolder(options.folder)
  try {
    const pglite = await PGlite.create({
      dataDir: inMemory ? options.folder : join(options.folder, 'database'),
      parsers: { [INT8]: Number },
    })
    const kysely = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) })
    const caches = createCaches(options.cacheBytes)
    return {
      engine: 'pglite',
      sql: kysely,
      caches,
      ...makeWrite(kysely, caches, options.reportError),
      listen: async () => async () => {},
      poolStatus: () => ({ total: 1, idle: 0, waiting: 0 }),
      close: async () => {
        await kysely.destroy()
        if (!pglite.closed) await pglite.close()
        unlock()
      },
    }
  } catch (error) {
    unlock()
    throw error
  }
}

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import type pg from 'pg'
import { createCaches } from './caches.ts'
import { lockDataFolder } from './data-folder-lock.ts'
import type { Database, Db } from './database.ts'
import { connectTo } from './embedded-connection.ts'
import { startUpkeep } from './embedded-upkeep.ts'
import { listenPostgres } from './listen-postgres.ts'
import { loadPglite } from './load-pglite.ts'
import { makeWrite } from './make-write.ts'
import { openPool, type TimedOut, type TimeLimits } from './pool.ts'
import { type DatabaseObserver, nameStatements } from './prepared-statements.ts'
import { onPool } from './transactions.ts'

export type DatabaseOptions = {
  /** PostgreSQL's URL; absent: the embedded database in `folder`. */
  url?: string | undefined
  /** The folder of the embedded database; `memory://` keeps it in memory. */
  folder: string
  poolSize: number
  /** Memory for the caches of events and state, in bytes. */
  cacheBytes: number
  /** Only for PostgreSQL; the embedded database has no timers. Absent: none. */
  timeLimits?: TimeLimits
  /** Receives each exceeded time limit. */
  reportTimeout?(what: TimedOut): void
  /** Receives errors of idle connections and of afterCommit hooks. */
  reportError(error: unknown): void
  /** Measures statements and waits for connections. */
  observer?: DatabaseObserver
}

type PoolOptions = Pick<DatabaseOptions, 'cacheBytes' | 'reportError' | 'observer'>

/**
 * One permanent connection. Settings that `pg` would read from the environment are given, because that describes
 * another database.
 */
const EMBEDDED = {
  max: 1,
  idleTimeoutMillis: 0,
  ssl: false,
  host: 'embedded',
  user: 'postgres',
  database: 'postgres',
  password: '',
}

/** PGlite never returns any of the default 128 MB. Pages outside come from the system's file cache, nearly as fast. */
const EMBEDDED_BUFFERS = '32MB'

/**
 * Opens PostgreSQL or the embedded PGlite, without migrations. Throws `DataFolderLockedError` if another process uses
 * the folder.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  return options.url === undefined ? openEmbedded(options) : openPostgres(options, options.url)
}

function openPostgres(options: DatabaseOptions, url: string): Database {
  return {
    engine: 'postgresql',
    ...databaseOn(openPool({ connectionString: url, max: options.poolSize }, options), options),
    listen: (channel, onHint) => listenPostgres({ url, channel, onHint, reportError: options.reportError }),
  }
}

async function openEmbedded(options: DatabaseOptions): Promise<Database> {
  const inMemory = options.folder.startsWith('memory://')
  if (!inMemory) mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  const unlock = inMemory ? () => {} : lockDataFolder(options.folder)
  try {
    const PGlite = await loadPglite()
    const pglite = await PGlite.create({
      dataDir: inMemory ? options.folder : join(options.folder, 'database'),
      startParams: [...PGlite.defaultStartParams, '-c', `shared_buffers=${EMBEDDED_BUFFERS}`],
    })
    const database = onPglite(pglite, options)
    const stopUpkeep = startUpkeep(database.sql, options.reportError)
    return {
      ...database,
      async close() {
        await stopUpkeep()
        await database.close()
        unlock()
      },
    }
  } catch (error) {
    unlock()
    throw error
  }
}

/** Creates a database on an open PGlite, which it closes with itself. */
export function onPglite(pglite: PGlite, options: PoolOptions): Database {
  const pool = openPool({ ...EMBEDDED, stream: () => connectTo(pglite) }, { reportError: options.reportError })
  const database = databaseOn(pool, options)
  return {
    engine: 'pglite',
    ...database,
    listen: async () => async () => {},
    async close() {
      await database.close()
      if (!pglite.closed) await pglite.close()
    },
  }
}

function databaseOn(pool: pg.Pool, { cacheBytes, reportError, observer }: PoolOptions) {
  const statements = onPool(nameStatements(pool, observer))
  const memory: Omit<Db, 'sql'> = {
    caches: createCaches(cacheBytes),
    outboxListeners: new Set(),
    stored: { messages: 0, messages_sent: 0, joins: 0 },
  }
  return {
    sql: statements.sql,
    ...memory,
    ...makeWrite(statements, memory, reportError),
    poolStatus: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => statements.sql.destroy(),
  }
}

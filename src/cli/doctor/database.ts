import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Config } from '../../config.ts'
import { DataFolderLockedError } from '../../storage/engine/data-folder-lock.ts'
import type { Database } from '../../storage/engine/database.ts'
import { pendingMigrations } from '../../storage/engine/migrate.ts'
import { explainError } from '../explain-error.ts'
import { withConfiguredDatabase } from '../open-configured.ts'
import { type Check, type Finding, good, problem, warning } from './finding.ts'

const NEEDED_MAJOR = 14
const TOLERATED_SKEW_MS = 2000

/** Checks that the database is reachable, recent enough, in UTF-8, migrated, and agrees on the time. */
export const checkDatabase: Check = async (config, running) => {
  if (lacksDatabase(config)) {
    return [good('There is no embedded database yet; the first start creates it')]
  }
  try {
    return await withConfiguredDatabase(config, (database) => examine(database, config))
  } catch (error) {
    if (error instanceof DataFolderLockedError && running) {
      return [good('The running Hearth uses the embedded database; stop it to check the database too')]
    }
    const explained = explainError(error)
    if (explained) return [problem(explained, 'Hearth cannot start before this is fixed.')]
    throw error
  }
}

/** Whether the embedded database will be used, and was not created yet. */
export function lacksDatabase(config: Config): boolean {
  return config.database.url === undefined && !existsSync(join(config.data_dir, 'database'))
}

async function examine(database: Database, config: Config): Promise<Finding[]> {
  const before = Date.now()
  const { rows } = await sql<Facts>`
    select current_setting('server_version') as version, current_setting('server_encoding') as encoding,
           current_setting('max_connections')::int as max_connections,
           (extract(epoch from clock_timestamp()) * 1000)::float8 as now`.execute(database.sql)
  const facts = rows[0]!
  const pending = await pendingMigrations(database)
  return [
    checkVersion(facts),
    ...(facts.encoding === 'UTF8' ? [] : [wrongEncoding(facts)]),
    pending.length === 0 ? good('The database is up to date') : toMigrate(pending),
    ...(database.engine === 'postgresql' ? [checkSkew(facts.now - before), checkConnections(facts, config)] : []),
  ]
}

type Facts = { version: string; encoding: string; max_connections: number; now: number }

function checkVersion({ version }: Facts): Finding {
  if (Number.parseInt(version, 10) >= NEEDED_MAJOR) return good(`PostgreSQL ${version} answers`)
  return problem(`PostgreSQL ${version} is too old.`, `Upgrade it to ${NEEDED_MAJOR} or later.`)
}

function wrongEncoding({ encoding }: Facts): Finding {
  return problem(
    `The database is encoded in ${encoding}.`,
    'Create one for Hearth with: createdb --encoding=UTF8 --template=template0 hearth',
  )
}

function toMigrate(pending: readonly string[]): Finding {
  return warning(
    `${pending.length} migrations have not run yet.`,
    'The server runs them when it starts. To run them now: hearth migrate',
  )
}

function checkSkew(skew: number): Finding {
  const seconds = Math.abs(skew / 1000).toFixed(1)
  if (Math.abs(skew) <= TOLERATED_SKEW_MS) return good('The clock of the database agrees with this machine')
  return problem(`The clock of the database differs by ${seconds} s.`, 'Set both clocks by NTP.')
}

function checkConnections({ max_connections }: Facts, { database }: Config): Finding {
  if (database.pool_size < max_connections) return good(`PostgreSQL allows ${max_connections} connections`)
  return warning(
    `PostgreSQL allows ${max_connections} connections, database.pool_size is ${database.pool_size}.`,
    'Lower database.pool_size, or raise max_connections.',
  )
}

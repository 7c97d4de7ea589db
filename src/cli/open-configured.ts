import type { App } from '../app.ts'
import type { Config } from '../config.ts'
import { MatrixError } from '../core/errors.ts'
import { openApp } from '../open-app.ts'
import type { AdminAct } from '../services/users/administration/audit-log.ts'
import type { Database } from '../storage/engine/database.ts'
import { openDatabase } from '../storage/engine/open-database.ts'
import { CommandError } from './command.ts'
import { operatorName } from './operator-name.ts'

const ONE_COMMAND = { poolSize: 1, cacheBytes: 16 * 1024 ** 2 }

/** Runs `work` on the configured database and closes it. Does not migrate. Throws DataFolderLockedError when a server uses the embedded one. */
export async function withConfiguredDatabase<Result>(
  config: Pick<Config, 'database' | 'data_dir'>,
  work: (database: Database) => Promise<Result>,
  size: Partial<typeof ONE_COMMAND> = {},
): Promise<Result> {
  const database = await openDatabase({
    url: config.database.url,
    folder: config.data_dir,
    ...ONE_COMMAND,
    ...size,
    reportError: (error) => console.error(error),
  })
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

/** A command that changes something, for the audit log: its name, and the object. */
type CommandAct = Pick<AdminAct, 'target' | 'details'> & { command: string }

/** Returns the act that a command is, for the audit log. */
export function actOfCommand({ command, target, details }: CommandAct): AdminAct {
  return { actor: `command line: ${operatorName()}`, action: `hearth ${command}`, target, details, address: null }
}

/**
 * Runs `work` with an App on the migrated database, which logs to standard error, from `level` on. A MatrixError becomes
 * a CommandError. Throws DataFolderLockedError when a server uses the embedded database.
 */
export async function withApp<Result>(
  config: Config,
  work: (app: App) => Promise<Result>,
  level: Config['log']['level'] = 'warn',
): Promise<Result> {
  // Standard output has the result, which may be JSON.
  await using opened = await openApp({ ...config, log: { ...config.log, level } }, process.stderr)
  try {
    return await work(opened.app)
  } catch (error) {
    if (error instanceof MatrixError) throw new CommandError(`${error.message}.`)
    throw error
  }
}

import type { Config } from '../config.ts'
import type { Database } from '../storage/database.ts'
import { openDatabase } from '../storage/open-database.ts'

const ONE_COMMAND = { poolSize: 1, cacheBytes: 16 * 1024 ** 2 }

/** Runs `work` on the configured database, for a command, and closes it. Throws DataFolderLockedError when a server has the embedded one. */
export async function withConfiguredDatabase<Result>(
  config: Config,
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  const database = await openDatabase({
    url: config.database.url,
    folder: config.data_dir,
    ...ONE_COMMAND,
    reportError: (error) => console.error(error),
  })
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

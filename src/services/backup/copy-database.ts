import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from '../../app.ts'
import type { Config } from '../../config.ts'
import { InvalidParamError, MatrixError } from '../../core/errors.ts'
import { copyEmbedded } from '../../storage/backup/copy-embedded.ts'
import { DataFolderLockedError, lockDataFolder } from '../../storage/engine/data-folder-lock.ts'

/** Returns the folder of the copy, which is a data folder of its own. */
export function copyFolder({ data_dir }: Pick<Config, 'data_dir'>): string {
  return join(data_dir, 'database-copy')
}

/**
 * Copies the embedded database, which is in use, for a command on this machine that reads and then deletes the copy:
 * only this process may open the original. Replaces a copy that was left behind. Throws M_INVALID_PARAM if the server
 * uses PostgreSQL, and a MatrixError while another command reads a copy.
 */
export async function copyDatabase({ database, config, logger }: App): Promise<void> {
  if (database.engine !== 'pglite') throw new InvalidParamError('The server does not use the embedded database')
  const folder = copyFolder(config)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const unlock = lockCopy(folder)
  const copy = join(folder, 'database')
  try {
    await rm(copy, { recursive: true, force: true })
    await copyEmbedded(database, { from: join(config.data_dir, 'database'), to: copy })
  } catch (error) {
    await rm(copy, { recursive: true, force: true })
    logger.error({ err: error }, 'copy of database failed')
    throw new MatrixError(503, 'M_UNKNOWN', `The database could not be copied: ${(error as Error).message}`)
  } finally {
    unlock()
  }
}

/** The lock of a data folder also excludes other copies, and is held by the command that reads one. */
function lockCopy(folder: string): () => void {
  try {
    return lockDataFolder(folder)
  } catch (error) {
    if (error instanceof DataFolderLockedError)
      throw new MatrixError(409, 'M_UNKNOWN', 'Another backup is being made. Wait for its end')
    throw error
  }
}

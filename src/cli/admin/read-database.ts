import { rmSync } from 'node:fs'
import { hearthV1 } from '../../api/admin/admin-fields.ts'
import type { Config } from '../../config.ts'
import { systemClock } from '../../infra/clock.ts'
import { copyFolder } from '../../services/backup/copy-database.ts'
import { type AdminAct, recordWhenDone } from '../../services/users/administration/audit-log.ts'
import { DataFolderLockedError } from '../../storage/engine/data-folder-lock.ts'
import type { Database } from '../../storage/engine/database.ts'
import { withConfiguredDatabase } from '../open-configured.ts'
import { withRunningServer } from './admin-api.ts'
import { onInterruption } from './on-interruption.ts'

/**
 * Runs `work`, which reads the whole database, whether or not the server runs, and records `act`. A running server holds
 * the embedded database: it copies the database, so that this process can read the copy, and records that.
 */
export async function readDatabase<Result>(
  config: Config,
  act: AdminAct,
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  try {
    return await withConfiguredDatabase(config, (database) =>
      recordWhenDone({ database, clock: systemClock }, act, () => work(database)),
    )
  } catch (error) {
    if (!(error instanceof DataFolderLockedError)) throw error
  }
  const folder = copyFolder(config)
  // Refused while another command reads the copy, which therefore stays.
  await withRunningServer(config, ({ request }) => request('POST', hearthV1('/database/copy')))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const forget = onInterruption(remove)
  try {
    return await withConfiguredDatabase({ ...config, data_dir: folder }, work)
  } finally {
    remove()
    forget()
  }
}

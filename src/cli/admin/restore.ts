import { type Config, loadConfig } from '../../config.ts'
import { systemClock } from '../../infra/clock.ts'
import { createLogger } from '../../infra/logger.ts'
import { openObjectStores } from '../../infra/object-store/open-object-stores.ts'
import { openBackup } from '../../services/backup/read-backup.ts'
import { recoverRestored, restoreBackup } from '../../services/backup/restore-backup.ts'
import { recordWhenDone } from '../../services/users/administration/audit-log.ts'
import type { Voided } from '../../storage/backup/after-restore.ts'
import type { Database } from '../../storage/engine/database.ts'
import { CONFIG_OPTION, defineCommand, UsageError } from '../command.ts'
import { actOfCommand, withConfiguredDatabase } from '../open-configured.ts'
import { startProgress } from './show-progress.ts'

export const restore = defineCommand({
  argument: '[FILE]',
  about:
    'Restores a backup into an empty database and media store, while no server runs. Then one-time keys are void and positions go on after all that clients have, so that clients and other servers recover. With --after-database-restore, does only the latter, for a database that was restored by the means of PostgreSQL.',
  options: {
    ...CONFIG_OPTION,
    'after-database-restore': { type: 'boolean', about: 'the database is restored already' },
    json: { type: 'boolean', about: 'print the result as a JSON object' },
  },
  examples: [
    ['restore /backups/monday.zip --config hearth.yaml', 'on an empty machine'],
    ['restore --after-database-restore --config hearth.yaml', 'after pg_restore or a recovery to a point in time'],
  ],
  async run({ config: configFile, 'after-database-restore': isRestored = false, json = false }, file) {
    if (isRestored === (file !== undefined))
      throw new UsageError('Name the backup, or say --after-database-restore: hearth restore FILE')
    const config = loadConfig({ configFile })
    const act = actOfCommand({ command: 'restore', target: null, details: { after_database_restore: isRestored } })
    const voided = await withConfiguredDatabase(config, (database) =>
      recordWhenDone({ database, clock: systemClock }, act, () =>
        file === undefined ? recoverRestored({ database, clock: systemClock }) : restoreFile(config, database, file),
      ),
    )
    console.log(json ? JSON.stringify(voided) : describe(voided))
    return 0
  },
})

async function restoreFile(config: Config, database: Database, file: string): Promise<Voided> {
  const opened = await openBackup(file)
  const progress = startProgress()
  try {
    return await restoreBackup(opened, {
      serverName: config.server_name,
      database,
      stores: await openObjectStores(config.media, createLogger({ ...config.log, level: 'fatal' })),
      clock: systemClock,
      signingKeyFile: config.signing_key,
      report: ({ step, rows, files }) => progress.show(`${step}: ${rows} rows, ${files} files so far`),
    })
  } finally {
    progress.stop()
    opened.zip.close()
  }
}

function describe({ oneTimeKeys, delayedEvents, deviceLists }: Voided): string {
  return [
    'The database is restored.',
    `${oneTimeKeys} one-time keys are void: clients upload new ones with their next sync.`,
    `${deviceLists} device lists of remote users are fetched again.`,
    ...(delayedEvents > 0
      ? [`${delayedEvents} delayed messages that were due since the backup are cancelled: they may have been sent.`]
      : []),
    'Start the server. docs/backup.md says what users may notice.',
  ].join('\n')
}

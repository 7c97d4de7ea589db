import { createWriteStream, readFileSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type Config, configurationFiles, loadConfig } from '../../config.ts'
import { systemClock } from '../../infra/clock.ts'
import { createLogger } from '../../infra/logger.ts'
import { joinStores } from '../../infra/object-store/object-stores.ts'
import { openObjectStores } from '../../infra/object-store/open-object-stores.ts'
import { type MediaMode, mediaMode, type Summary } from '../../services/backup/backup-format.ts'
import { openBackup } from '../../services/backup/read-backup.ts'
import { verifyBackup } from '../../services/backup/verify-backup.ts'
import { writeBackup } from '../../services/backup/write-backup.ts'
import type { Database } from '../../storage/engine/database.ts'
import { CONFIG_OPTION, defineCommand, UsageError } from '../command.ts'
import { actOfCommand } from '../open-configured.ts'
import { writeNew } from './new-file.ts'
import { readDatabase } from './read-database.ts'
import { startProgress } from './show-progress.ts'

type Wanted = { config: Config; configFile: string | undefined; media: MediaMode; file: string }

export const backupCommand = defineCommand({
  argument: '[FILE]',
  about:
    'Backs up the database, the media, the configuration and the signing key into a ZIP archive, whether or not the server runs, and verifies it. The backup contains everything that the server knows, secrets too: keep it as safe as the server.',
  options: {
    ...CONFIG_OPTION,
    media: { type: 'string', value: 'MODE', about: 'copy (default): with the media; list: with a list of them' },
    'no-verify': { type: 'boolean', about: 'do not read the backup again to check it' },
    json: { type: 'boolean', about: 'print the result as a JSON object' },
  },
  examples: [
    ['backup --config hearth.yaml', 'write hearth-NAME-TIME.zip into this folder'],
    ['backup /backups/monday.zip --media list --config hearth.yaml', 'if the bucket is backed up otherwise'],
  ],
  async run({ config: configFile, media = 'copy', 'no-verify': unverified = false, json = false }, given) {
    const mode = mediaMode.safeParse(media).data
    if (!mode) throw new UsageError('Say --media copy or --media list')
    const config = loadConfig({ configFile })
    const file = given ?? defaultName(config)
    const act = actOfCommand({ command: 'backup', target: null, details: { media: mode } })
    const summary = await writeNew(file, 'file', async (partial) => {
      const wanted = { config, configFile, media: mode, file: partial }
      const written = await readDatabase(config, act, (database) => writeFile(wanted, database))
      if (!unverified) await verifyFile(partial)
      return written
    })
    console.log(json ? JSON.stringify({ file, ...summary }) : describe(file, mode, summary))
    return 0
  },
})

export const verifyBackupCommand = defineCommand({
  argument: 'FILE',
  about: 'Reads a backup whole and compares its tables, files and media with the checksums in it.',
  options: {},
  examples: [['backup verify /backups/monday.zip', 'after it was copied elsewhere']],
  async run(_values, file) {
    if (file === undefined) throw new UsageError('Name the backup: hearth backup verify FILE')
    await verifyFile(file)
    console.log(`${file} is whole.`)
    return 0
  },
})

function defaultName({ server_name }: Config): string {
  const time = new Date(systemClock.now()).toISOString().slice(0, 19).replaceAll(':', '')
  return `hearth-${server_name.replaceAll(/[^A-Za-z0-9.-]/g, '_')}-${time}.zip`
}

async function writeFile({ config, configFile, media, file }: Wanted, database: Database): Promise<Summary> {
  const stores = await openObjectStores(config.media, createLogger({ ...config.log, level: 'fatal' }))
  const progress = startProgress()
  const { output, done } = writeBackup({
    serverName: config.server_name,
    database,
    objects: media === 'copy' ? joinStores(stores) : undefined,
    files: new Map([...configurationFiles(config, { configFile })].map(([name, path]) => [name, read(path)])),
    spoolFile: `${file}.list`,
    clock: systemClock,
    report: ({ step, rows, files }) => progress.show(`${step}: ${rows} rows, ${files} files so far`),
  })
  try {
    const [summary] = await Promise.all([done, pipeline(output, createWriteStream(file, { mode: 0o600, flush: true }))])
    return summary
  } finally {
    progress.stop()
  }
}

async function verifyFile(file: string): Promise<void> {
  const opened = await openBackup(file)
  const progress = startProgress()
  try {
    await verifyBackup(opened, () => progress.show('verifying'))
  } finally {
    progress.stop()
    opened.zip.close()
  }
}

function read(path: string): string {
  return readFileSync(path, 'utf8')
}

function describe(file: string, mode: MediaMode, { tables, media }: Summary): string {
  const rows = Object.values(tables).reduce((sum, table) => sum + table.rows, 0)
  const size = `${Math.ceil(media.bytes / 1024 ** 2)} MiB`
  return [
    `${file}: ${rows} rows of ${Object.keys(tables).length} tables.`,
    mode === 'copy'
      ? `${media.files} media files (${size}) are in it.`
      : `${media.files} media files (${size}) are not in it: media.ndjson lists what has to be backed up otherwise.`,
    ...(media.missing.length > 0
      ? [
          `${media.missing.length} files were deleted while the backup was made, or are missing in the media store; summary.json in the backup lists their hashes.`,
        ]
      : []),
    'It contains secrets, such as the signing key and password hashes: keep it where only administrators can read it.',
  ].join('\n')
}

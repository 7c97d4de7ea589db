import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type Config, loadConfig } from '../../config.ts'
import { systemClock } from '../../infra/clock.ts'
import { createLogger } from '../../infra/logger.ts'
import { joinStores } from '../../infra/object-store/object-stores.ts'
import { openObjectStores } from '../../infra/object-store/open-object-stores.ts'
import { type Exported, type ExportSource, exportServer } from '../../services/backup/export-server.ts'
import { CONFIG_OPTION, CommandError, defineCommand, UsageError } from '../command.ts'
import { actOfCommand } from '../open-configured.ts'
import { writeNew } from './new-file.ts'
import { readDatabase } from './read-database.ts'
import { startProgress } from './show-progress.ts'

/** In place of a file: standard output. */
const STANDARD_OUTPUT = '-'

export const exportServerCommand = defineCommand({
  argument: 'FILE',
  about:
    'Exports everything that people and other programs may need from the server as NDJSON, a JSON object per line: users, devices, settings, key backups, rooms with all events, receipts, media and reports. It works whether or not the server runs. The export has no tokens and no secret keys, but all messages and addresses. It cannot be restored: see hearth backup. docs/export.md describes the lines.',
  options: {
    ...CONFIG_OPTION,
    media: { type: 'string', value: 'FOLDER', about: 'also copy the files of the media into this new folder' },
    'with-password-hashes': { type: 'boolean', about: 'also export the hashes of passwords' },
    json: { type: 'boolean', about: 'print the result as a JSON object' },
  },
  examples: [
    ['export-server server.ndjson --config hearth.yaml', 'all but the files of the media'],
    ['export-server server.ndjson --media media --config hearth.yaml', 'with these files'],
    ['export-server - --config hearth.yaml | zstd > server.ndjson.zst', 'compressed'],
  ],
  async run({ config: configFile, media, 'with-password-hashes': withPasswordHashes = false, json = false }, file) {
    if (file === undefined) throw new UsageError('Name the file to write: hearth export-server FILE')
    const wanted = { config: loadConfig({ configFile }), withPasswordHashes }
    const written = await intoNew(media, 'folder', (folder) =>
      intoNew(file === STANDARD_OUTPUT ? undefined : file, 'file', (partial) =>
        exportTo({ ...wanted, file: partial, folder }),
      ),
    )
    const print = file === STANDARD_OUTPUT ? console.error : console.log
    print(json ? JSON.stringify({ file, media, ...written }) : describe(file, written))
    return 0
  },
})

function intoNew<Result>(
  path: string | undefined,
  kind: 'file' | 'folder',
  write: (partial: string | undefined) => Promise<Result>,
): Promise<Result> {
  return path === undefined ? write(undefined) : writeNew(path, kind, write)
}

type Wanted = {
  config: Config
  withPasswordHashes: boolean
  /** undefined: standard output */
  file: string | undefined
  /** of the media; undefined: they are not exported */
  folder: string | undefined
}

async function exportTo({ config, withPasswordHashes, file, folder }: Wanted): Promise<Exported> {
  const details = { with_password_hashes: withPasswordHashes, with_media: folder !== undefined }
  const stores = await openObjectStores(config.media, createLogger({ ...config.log, level: 'fatal' }))
  const progress = startProgress()
  const source: Omit<ExportSource, 'database'> = {
    serverName: config.server_name,
    clock: systemClock,
    withPasswordHashes,
    media: folder === undefined ? undefined : { folder, objects: joinStores(stores) },
    write: (lines) =>
      file === undefined
        ? pipeline(lines, process.stdout, { end: false }).catch(explainClosedPipe)
        : pipeline(lines, createWriteStream(file, { mode: 0o600, flush: true })),
    report: (step, done) => progress.show(`${step}: ${done} so far`),
  }
  try {
    return await readDatabase(config, actOfCommand({ command: 'export-server', target: null, details }), (database) =>
      exportServer({ ...source, database }),
    )
  } finally {
    progress.stop()
  }
}

function explainClosedPipe(error: NodeJS.ErrnoException): never {
  if (error.code !== 'EPIPE') throw error
  throw new CommandError('The program that reads the export ended before it was whole.')
}

function describe(file: string, { lines, files }: Exported): string {
  const { user = 0, room = 0, event = 0, media = 0 } = lines
  return [
    `${file === STANDARD_OUTPUT ? 'The export' : file} has ${user} users, ${room} rooms, ${event} events and ${media} media.`,
    ...(files ? [`${files.copied} files (${Math.ceil(files.bytes / 1024 ** 2)} MiB) were copied.`] : []),
    ...(files && files.missing > 0
      ? [`${files.missing} files were deleted in the meantime, or are missing in the media store.`]
      : []),
    'It contains messages and addresses of all users: keep it where only administrators can read it.',
  ].join('\n')
}

import { createHash } from 'node:crypto'
import type { Clock } from '../../infra/clock.ts'
import { HEARTH_VERSION } from '../../infra/hearth-version.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import { createZip, type ZipWriter } from '../../infra/zip-writer.ts'
import { listTables, readSequences } from '../../storage/backup/catalog.ts'
import { type KeptFile, listFiles } from '../../storage/backup/media-files.ts'
import { readTable, withSnapshot } from '../../storage/backup/snapshot.ts'
import type { Database, Db } from '../../storage/engine/database.ts'
import { loadHistory } from '../../storage/engine/migrate.ts'
import {
  BackupError,
  MANIFEST,
  type Manifest,
  MEDIA_LIST,
  type MediaMode,
  mediaEntry,
  SUMMARY,
  type Summary,
  tableEntry,
} from './backup-format.ts'
import { type SpooledLines, spoolLines } from './spool-lines.ts'

/** How far a backup is. */
export type Progress = { step: string; rows: number; files: number }

export type BackupSource = {
  serverName: string
  database: Database
  /** The media of the server; undefined: only a list of them. */
  objects: ObjectStore | undefined
  /** Files of the configuration, by their name in the backup. */
  files: ReadonlyMap<string, string>
  /** Where a file can be created and deleted, for lists. */
  spoolFile: string
  clock: Clock
  report(progress: Progress): void
}

/**
 * Writes a backup of one state of the whole database, and of the media in it, while the server runs. Returns the
 * archive to be read, and what came of it.
 */
export function writeBackup(source: BackupSource): { output: ZipWriter['output']; done: Promise<Summary> } {
  const zip = createZip(new Date(source.clock.now()))
  const done = write(zip, source)
  // The reader gets the error too.
  done.catch((error) => zip.output.destroy(error))
  return { output: zip.output, done }
}

async function write(zip: ZipWriter, source: BackupSource): Promise<Summary> {
  const { database, objects, files, clock, report } = source
  const progress: Progress = { step: 'the database', rows: 0, files: 0 }
  const { media, ...parts } = await withSnapshot(database, async (db) => {
    await addManifest(zip, db, source)
    const ofFiles: Summary['files'] = {}
    for (const [name, text] of files) ofFiles[name] = await addCounted(zip, name, toLines([[text]]))
    const ofDatabase = await addDatabase(zip, db, () => report(progress), progress)
    const media = objects
      ? // Not within the snapshot: it would keep the database from cleaning up for as long as the media take.
        { files: await spoolLines(source.spoolFile, listFiles(db)), objects }
      : await addMediaList(zip, db)
    return { files: ofFiles, ...ofDatabase, media }
  })
  progress.step = 'media'
  const ofMedia = 'objects' in media ? await addMedia(zip, media, { progress, report: () => report(progress) }) : media
  const summary: Summary = { ...parts, media: ofMedia, finished_ts: clock.now() }
  await zip.add(SUMMARY, toLines([[JSON.stringify(summary, undefined, 2)]]))
  zip.end()
  return summary
}

async function addManifest(zip: ZipWriter, db: Db, { serverName, objects, clock }: BackupSource): Promise<void> {
  const manifest: Manifest = {
    format: 1,
    server_name: serverName,
    hearth_version: HEARTH_VERSION,
    created_ts: clock.now(),
    media: (objects ? 'copy' : 'list') satisfies MediaMode,
    migrations: await loadHistory(db),
  }
  if (manifest.migrations.length === 0) throw new BackupError('The database is empty: there is nothing to back up.')
  await zip.add(MANIFEST, toLines([[JSON.stringify(manifest, undefined, 2)]]))
}

async function addDatabase(
  zip: ZipWriter,
  db: Db,
  report: () => void,
  progress: Progress,
): Promise<Pick<Summary, 'tables' | 'sequences'>> {
  const tables: Summary['tables'] = {}
  for (const { name } of await listTables(db)) {
    let rows = 0
    progress.step = `table ${name}`
    const lines = toLines(readTable(db, name), (count) => {
      rows += count
      progress.rows += count
      report()
    })
    tables[name] = { ...(await addCounted(zip, tableEntry(name), lines)), rows }
  }
  return { tables, sequences: await readSequences(db) }
}

/** Adds the files of the snapshot. Files that were deleted since, by uploaders or administrators, are missing. */
async function addMedia(
  zip: ZipWriter,
  { files, objects }: { files: SpooledLines; objects: ObjectStore },
  { progress, report }: { progress: Progress; report: () => void },
): Promise<Summary['media']> {
  await using spooled = files
  const result: Summary['media'] = { files: 0, bytes: 0, missing: [] }
  for await (const line of spooled.lines()) {
    const { sha256, size, object_key } = JSON.parse(line) as KeptFile
    const content = await objects.get(object_key)
    if (content) {
      await zip.add(mediaEntry(sha256), content, 'binary')
      result.files += 1
      result.bytes += size
    } else {
      result.missing.push(sha256)
    }
    progress.files += 1
    report()
  }
  return result
}

async function addMediaList(zip: ZipWriter, db: Db): Promise<Summary['media']> {
  const result: Summary['media'] = { files: 0, bytes: 0, missing: [] }
  async function* counted() {
    for await (const lines of listFiles(db)) {
      for (const line of lines) result.bytes += (JSON.parse(line) as KeptFile).size
      result.files += lines.length
      yield lines
    }
  }
  await zip.add(MEDIA_LIST, toLines(counted()))
  return result
}

async function* toLines(
  groups: Iterable<readonly string[]> | AsyncIterable<readonly string[]>,
  count: (lines: number) => void = () => {},
): AsyncGenerator<Buffer> {
  for await (const lines of groups) {
    yield Buffer.from(`${lines.join('\n')}\n`)
    count(lines.length)
  }
}

async function addCounted(
  zip: ZipWriter,
  name: string,
  content: AsyncIterable<Buffer>,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of content) {
      hash.update(chunk)
      bytes += chunk.length
      yield chunk
    }
  }
  await zip.add(name, counted())
  return { sha256: hash.digest('base64url'), bytes }
}

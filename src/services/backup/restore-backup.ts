import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Clock } from '../../infra/clock.ts'
import { HEARTH_VERSION } from '../../infra/hearth-version.ts'
import { type ObjectStores, storeNamed } from '../../infra/object-store/object-stores.ts'
import { type ByteSource, discardStagedFile, stageFile } from '../../infra/object-store/staged-file.ts'
import { recoverDatabase, type Voided } from '../../storage/backup/after-restore.ts'
import {
  beginLoading,
  countOtherSessions,
  endLoading,
  findUsedTable,
  loadRows,
} from '../../storage/backup/load-tables.ts'
import { moveFilesTo } from '../../storage/backup/media-files.ts'
import type { Database, Tx } from '../../storage/engine/database.ts'
import { loadHistory, migrate } from '../../storage/engine/migrate.ts'
import { BackupError, mediaEntry, tableEntry } from './backup-format.ts'
import { type Backup, checkedLines, damaged, requireEntry } from './read-backup.ts'
import { filesOf } from './verify-backup.ts'

/** Rows that one statement inserts, at most, and about how many characters. */
const BATCH_ROWS = 2000
const BATCH_CHARACTERS = 4 * 1024 * 1024

export type RestoreTarget = {
  serverName: string
  database: Database
  stores: ObjectStores
  clock: Clock
  /** The file of the signing key. It is written if the backup has one. */
  signingKeyFile: string
  report(progress: { step: string; rows: number; files: number }): void
}

/**
 * Restores a backup: the signing key, the media, and the database in one transaction. A restore that was interrupted
 * before that has changed nothing and can be run again. Throws BackupError if the target is in use, or the backup does
 * not fit it.
 */
export async function restoreBackup(backup: Backup, target: RestoreTarget): Promise<Voided> {
  await requireTarget(backup, target)
  const progress = { step: 'media', rows: 0, files: 0 }
  const report = () => target.report(progress)
  await restoreSigningKey(backup, target.signingKeyFile)
  if (backup.manifest.media === 'copy') {
    for await (const file of filesOf(backup)) {
      await restoreFile(backup, file, target.stores)
      progress.files += 1
      report()
    }
  }
  // One may have been started in the meantime.
  await requireNoServer(target.database)
  return target.database.write(async (tx) => {
    progress.rows = 0
    const tables = await beginLoading(tx)
    for (const table of tables) {
      progress.step = `table ${table.name}`
      for await (const rows of batchesOf(backup, table.name)) {
        await loadRows(tx, table, rows)
        progress.rows += rows.length
        report()
      }
    }
    await endLoading(tx, { tables, sequences: backup.summary.sequences })
    if (backup.manifest.media === 'copy') await moveFilesTo(tx, target.stores.current, backup.summary.media.missing)
    return recoverDatabase(tx, target.clock.now())
  })
}

/**
 * Makes a database safe to serve that an administrator has restored by the means of PostgreSQL, or from a copy of the
 * data folder. Throws BackupError while a server uses it.
 */
export async function recoverRestored({ database, clock }: Pick<RestoreTarget, 'database' | 'clock'>): Promise<Voided> {
  await requireNoServer(database)
  await migrate(database)
  return database.write((tx: Tx) => recoverDatabase(tx, clock.now()))
}

async function requireTarget({ manifest, summary }: Backup, { serverName, database }: RestoreTarget): Promise<void> {
  if (manifest.server_name !== serverName) {
    throw new BackupError(
      `The backup is of ${manifest.server_name}, and the configuration is of ${serverName}. Set server_name, or use the configuration that is in the backup.`,
    )
  }
  await requireNoServer(database)
  await migrate(database)
  const used = await findUsedTable(database)
  if (used !== undefined) {
    throw new BackupError(
      `The database is in use: its table ${used} is not empty. Set data_dir to a new folder, or database.url to a new database.`,
    )
  }
  const schema = await loadHistory(database)
  if (schema.join() !== manifest.migrations.join() || !summary.tables.users) {
    throw new BackupError(
      `The backup was made by Hearth ${manifest.hearth_version}, whose database differs from that of ${HEARTH_VERSION}. Restore it with Hearth ${manifest.hearth_version}, then upgrade.`,
    )
  }
}

async function requireNoServer(database: Database): Promise<void> {
  if (database.engine === 'pglite' || (await countOtherSessions(database)) === 0) return
  throw new BackupError('A Hearth is connected to the database. Stop all processes, and run this again.')
}

async function restoreSigningKey({ zip }: Backup, file: string): Promise<void> {
  const entry = await zip.read('config/signing.key')
  if (!entry) return
  const key = await text(entry)
  if (existsSync(file)) {
    if (readFileSync(file, 'utf8').trim() === key.trim()) return
    throw new BackupError(`${file} is another signing key than that of the backup. Move it away, and run this again.`)
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(file, key, { mode: 0o600 })
}

/** A file that an interrupted restore has written is not written again. */
async function restoreFile(
  { zip }: Backup,
  { sha256, object_key, size }: { sha256: string; object_key: string; size: number },
  stores: ObjectStores,
): Promise<void> {
  const store = storeNamed(stores, stores.current)
  if ((await store.sizeOf(object_key)) === size) return
  const name = mediaEntry(sha256)
  const staged = await stageFile(store.stagingFolder, (await requireEntry(zip, name)) as ByteSource, size).catch(
    (error) => {
      throw 'code' in error ? error : damaged(name, error)
    },
  )
  try {
    if (staged.sha256 !== sha256) throw damaged(name)
    await store.put(object_key, staged)
  } finally {
    await discardStagedFile(staged)
  }
}

async function* batchesOf(backup: Backup, table: string): AsyncGenerator<string[]> {
  const expected = backup.summary.tables[table]
  if (!expected) return
  let batch: string[] = []
  let characters = 0
  for await (const row of checkedLines(backup, tableEntry(table), expected)) {
    batch.push(row)
    characters += row.length
    if (batch.length < BATCH_ROWS && characters < BATCH_CHARACTERS) continue
    yield batch
    batch = []
    characters = 0
  }
  if (batch.length > 0) yield batch
}

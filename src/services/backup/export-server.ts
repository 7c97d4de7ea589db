import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { UserId } from '../../core/ids.ts'
import { effectiveRuleset } from '../../core/push-rules/effective-ruleset.ts'
import type { Clock } from '../../infra/clock.ts'
import { HEARTH_VERSION } from '../../infra/hearth-version.ts'
import type { ObjectStore } from '../../infra/object-store/object-store.ts'
import { EXPORTED_KINDS, readExported, readRoomRoots } from '../../storage/backup/exported-rows.ts'
import { type KeptFile, listFiles } from '../../storage/backup/media-files.ts'
import { withSnapshot } from '../../storage/backup/snapshot.ts'
import type { Database, Db } from '../../storage/engine/database.ts'
import { pendingMigrations } from '../../storage/engine/migrate.ts'
import { readStateNids } from '../../storage/rooms/timeline/room-state.ts'
import { loadStateEntries } from '../../storage/rooms/timeline/state-entries.ts'
import { BackupError } from './backup-format.ts'
import { spoolLines } from './spool-lines.ts'

/** Where the files of the media are written: a folder, with a name for each that is its SHA-256. */
type MediaTarget = { folder: string; objects: ObjectStore }

export type ExportSource = {
  serverName: string
  database: Database
  clock: Clock
  /** Whether the hashes of passwords are exported. */
  withPasswordHashes: boolean
  /** undefined: the files are not exported. */
  media: MediaTarget | undefined
  /** Writes the lines, each with its line break. */
  write(lines: AsyncIterable<string>): Promise<void>
  /** Called now and then. `done`: lines, then files. */
  report(step: string, done: number): void
}

/** The contents of an export. `missing`: files that were deleted in the meantime, or that the store does not have. */
export type Exported = {
  /** How many lines of each kind. */
  lines: Record<string, number>
  files?: { copied: number; bytes: number; missing: number }
}

/** Increased when a kind or a field changes its meaning; new ones may be added at any time. */
const FORMAT = 1
/** The current state of a room is read some events at a time. */
const STATE_PIECE = 1000

/**
 * Exports one state of the whole database as lines of JSON, while the server runs, and then the files of the media in
 * it. docs/export.md has the format. Throws BackupError if the database is empty, or of an older version, and
 * IncompatibleDatabaseError if it is of a newer one.
 */
export async function exportServer(source: ExportSource): Promise<Exported> {
  const { database, media, write } = source
  const lines: Exported['lines'] = {}
  if ((await pendingMigrations(database)).length > 0)
    throw new BackupError(
      'The database is empty, or of an older version of Hearth. Start the server once, which upgrades it.',
    )
  const spooled = await withSnapshot(database, async (db) => {
    await write(allLines(db, source, lines))
    return media && spoolLines(join(media.folder, 'list'), listFiles(db))
  })
  if (!media || !spooled) return { lines }
  await using files = spooled
  return { lines, files: await copyFiles(files.lines(), media, source.report) }
}

async function* allLines(db: Db, source: ExportSource, counts: Exported['lines']): AsyncGenerator<string> {
  const head = { server_name: source.serverName, hearth_version: HEARTH_VERSION, created_ts: source.clock.now() }
  yield line({ kind: 'server', format: FORMAT, ...head })
  for (const kind of EXPORTED_KINDS) {
    if (kind === 'password_hash' && !source.withPasswordHashes) continue
    yield* counted(kind, kind === 'push_rules' ? rulesOf(db) : readExported(db, kind), { counts, source })
    if (kind === 'other_event') yield* counted('state', statesOf(db), { counts, source })
  }
  // Shows a reader that the file is whole.
  yield line({ kind: 'end', lines: counts })
}

async function* counted(
  kind: string,
  groups: AsyncIterable<readonly string[]>,
  { counts, source }: { counts: Exported['lines']; source: ExportSource },
): AsyncGenerator<string> {
  let count = 0
  for await (const group of groups) {
    // Only white space between the parts of a JSON text can be a line break: within strings it is escaped.
    yield `${group.map((text) => (/[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, ' ') : text)).join('\n')}\n`
    count += group.length
    source.report(kind, count)
  }
  counts[kind] = count
}

/** Stored are changes to the default rules; other programs need the whole. */
async function* rulesOf(db: Db): AsyncGenerator<string[]> {
  for await (const rows of readExported(db, 'push_rules')) {
    yield rows.map((row) => {
      const { kind, user_id, overlay } = JSON.parse(row)
      return JSON.stringify({ kind, user_id, global: effectiveRuleset(user_id as UserId, overlay) })
    })
  }
}

/** Returns the current state of each room. */
async function* statesOf(db: Db): AsyncGenerator<string[]> {
  for await (const rooms of readRoomRoots(db)) {
    for (const { room_id, state_root } of rooms) {
      const nids = await readStateNids(db, state_root)
      for (let from = 0; from < nids.length; from += STATE_PIECE) {
        const entries = await loadStateEntries(db, nids.slice(from, from + STATE_PIECE), new Map())
        yield [...entries.values()].map(({ type, state_key, event_id }) =>
          JSON.stringify({ kind: 'state', room_id, type, state_key, event_id }),
        )
      }
    }
  }
}

async function copyFiles(
  listed: AsyncIterable<string>,
  { folder, objects }: MediaTarget,
  report: ExportSource['report'],
): Promise<NonNullable<Exported['files']>> {
  const files = { copied: 0, bytes: 0, missing: 0 }
  for await (const text of listed) {
    const { sha256, size, object_key } = JSON.parse(text) as KeptFile
    const content = await objects.get(object_key)
    if (content) {
      await pipeline(content, createWriteStream(join(folder, sha256), { mode: 0o600, flags: 'wx' }))
      files.copied += 1
      files.bytes += size
    } else {
      files.missing += 1
    }
    report('files', files.copied)
  }
  return files
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`
}

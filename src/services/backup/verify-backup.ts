import { createHash } from 'node:crypto'
import { z } from 'zod'
import { mediaEntry, tableEntry } from './backup-format.ts'
import { type Backup, checkedLines, damaged, requireEntry } from './read-backup.ts'

/** A row of media_files, as far as a restore needs it. */
export const fileRow = z.object({ sha256: z.string(), object_key: z.string(), size: z.int() })
export type FileRow = z.output<typeof fileRow>

/**
 * Reads a backup whole. Throws BackupError if a table, a file of the configuration or a media file is not what was
 * written, or missing. `report` is called now and then.
 */
export async function verifyBackup(backup: Backup, report: () => void = () => {}): Promise<void> {
  const { manifest, summary, zip } = backup
  for (const [name, expected] of Object.entries(summary.files)) {
    for await (const _line of checkedLines(backup, name, expected));
  }
  for (const [name, expected] of Object.entries(summary.tables)) {
    let rows = 0
    for await (const _line of checkedLines(backup, tableEntry(name), expected)) {
      rows += 1
      if (rows % 1000 === 0) report()
    }
    if (rows !== expected.rows) throw damaged(tableEntry(name))
  }
  if (manifest.media === 'list') return
  for await (const { sha256, size } of filesOf(backup)) {
    const name = mediaEntry(sha256)
    const hash = createHash('sha256')
    let bytes = 0
    try {
      for await (const chunk of (await requireEntry(zip, name)) as AsyncIterable<Buffer>) {
        hash.update(chunk)
        bytes += chunk.length
      }
    } catch (error) {
      throw damaged(name, error)
    }
    if (bytes !== size || hash.digest('base64url') !== sha256) throw damaged(name)
    report()
  }
}

/** Returns the media files that the backup contains. */
export async function* filesOf(backup: Backup): AsyncGenerator<FileRow> {
  const { tables, media } = backup.summary
  const missing = new Set(media.missing)
  const expected = tables.media_files
  if (!expected) return
  for await (const line of checkedLines(backup, tableEntry('media_files'), expected)) {
    const file = fileRow.parse(JSON.parse(line))
    if (!missing.has(file.sha256)) yield file
  }
}
